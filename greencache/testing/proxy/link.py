"""One connection through a proxy."""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import ssl
import struct
import threading
from typing import TYPE_CHECKING

from greencache.testing.proxy.stream import Stream
from greencache.testing.proxy.traffic import FIN, RST, Ending
from greencache.testing.proxy.waker import Waker

if TYPE_CHECKING:
    from greencache.testing.proxy.proxy import TcpProxy

__all__ = ["Link", "hang_up"]

_TLS_HANDSHAKE = b"\x16"
_NO_LINGER = struct.pack("ii", 1, 0)


class _Ended(Exception):  # noqa: N818 -- not an error: how the loop is left
    def __init__(self, by: Ending) -> None:
        super().__init__(by)
        self.by = by


class Link:
    """Connects a client with the server that is the proxy's target now, in a thread of its own.

    That thread alone touches the sockets: what others want of it, they leave behind and wake it.

    Args:
        proxy: Whose faults hold.
        client: The connection that was accepted.
    """

    def __init__(self, proxy: TcpProxy, client: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._waker = Waker()
        self._wanted_end: Ending | None = None
        self._thread = threading.Thread(target=self._run, name=f"proxy-{proxy.port}-link", daemon=True)

    def start(self) -> None:
        """Begin to pass bytes on."""
        self._thread.start()

    def wake(self) -> None:
        """Let it look at the faults again."""
        self._waker.wake()

    def end(self, by: Ending) -> None:
        """Ask it to end both connections at once."""
        self._wanted_end = by
        self._waker.wake()

    def join(self) -> None:
        """Wait until it has ended, unless it is this link that asks."""
        if self._thread is not threading.current_thread():
            self._thread.join()

    def let_go(self) -> None:
        """In a forked child: close our copies of the sockets."""
        self._client.close()
        self._server.close()
        self._waker.let_go()

    def _run(self) -> None:
        ending: Ending = RST
        try:
            self._open()
            self._pass_on()
        except _Ended as ended:
            ending = ended.by
        except OSError:
            ending = RST  # neither side is there for the other any more
        finally:
            hang_up(self._client, ending)
            hang_up(self._server, ending)
            self._proxy.forget(self)
            self._waker.close()

    # -- beginning

    def _open(self) -> None:
        for connection in (self._client, self._server):
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while self._proxy.requests.stalled:  # what goes nowhere, the server does not see
            self._wait(None)
        context = self._proxy.tls
        if context is not None and not (self._proxy.takes_plain and self._speaks_plain()):
            self._shake_hands(context)
        self._connect()

    def _speaks_plain(self) -> bool:
        """Wait for the first byte of the client, which in TLS is always the same, and leave it there."""
        while True:
            try:
                return self._client.recv(1, socket.MSG_PEEK) != _TLS_HANDSHAKE
            except BlockingIOError:
                self._waker.watch(self._client, selectors.EVENT_READ)
            self._wait(None)

    def _shake_hands(self, context: ssl.SSLContext) -> None:
        client = context.wrap_socket(self._client, server_side=True, do_handshake_on_connect=False)
        self._client = client
        while True:
            try:
                client.do_handshake()
            except ssl.SSLWantReadError:
                self._waker.watch(client, selectors.EVENT_READ)
            except ssl.SSLWantWriteError:
                self._waker.watch(client, selectors.EVENT_WRITE)
            else:
                return
            self._wait(None)

    def _connect(self) -> None:
        """Reach the server; a client whose server refuses is reset."""
        while (code := self._server.connect_ex(self._proxy.target)) not in (0, errno.EISCONN):
            if code not in (errno.EINPROGRESS, errno.EALREADY):
                raise OSError(code, os.strerror(code))
            self._waker.watch(self._client, 0)
            self._waker.watch(self._server, selectors.EVENT_WRITE)
            self._wait(None)

    # -- passing on

    def _pass_on(self) -> None:
        requests = Stream(self._proxy.requests, self._client, self._server)
        replies = Stream(self._proxy.replies, self._server, self._client)
        streams = [requests, replies]
        while True:
            for stream in streams:
                stream.take()
                self._heed()  # a rewriter may have ended it
                if (by := stream.give()) is not None:
                    raise _Ended(by)
            for stream in [each for each in streams if each.is_over]:
                self._finish(stream)
                streams.remove(stream)
            if not streams:
                raise _Ended(FIN)
            self._watch(streams)
            waits = [wait for each in streams if (wait := each.seconds_to_wait()) is not None]
            self._wait(min(waits, default=None))

    def _finish(self, stream: Stream) -> None:
        if stream.ending == RST:
            raise _Ended(RST)
        if isinstance(stream.sink, ssl.SSLSocket):
            raise _Ended(FIN)  # TLS has no half-closed connections
        stream.end_sink()

    def _watch(self, streams: list[Stream]) -> None:
        events = {self._client: 0, self._server: 0}
        for stream in streams:
            if stream.wants_more:
                events[stream.source] |= selectors.EVENT_READ
            if stream.is_blocked:
                events[stream.sink] |= selectors.EVENT_WRITE
        for connection, wanted in events.items():
            self._waker.watch(connection, wanted)

    def _wait(self, seconds: float | None) -> None:
        self._waker.wait(seconds)
        self._heed()

    def _heed(self) -> None:
        if self._wanted_end is not None:
            raise _Ended(self._wanted_end)


def hang_up(connection: socket.socket, by: Ending) -> None:
    """Close a connection in good order or with a reset."""
    with contextlib.suppress(OSError):  # its peer may have gone first, or it was never connected
        if by == RST:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        else:
            connection.shutdown(socket.SHUT_RDWR)
    connection.close()
