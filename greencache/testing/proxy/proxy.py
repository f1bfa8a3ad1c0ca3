"""A TCP proxy whose faults can be switched while connections are open."""

import contextlib
import selectors
import socket
import ssl
import threading
import urllib.parse
from types import TracebackType
from typing import Self

from greencache.forks import after_fork_in_child
from greencache.testing.proxy.link import Link, hang_up
from greencache.testing.proxy.traffic import RST, Ending, Traffic
from greencache.testing.proxy.waker import Waker
from greencache.testing.servers.ports import LOOPBACK, free_port

__all__ = ["TcpProxy"]

_BACKLOG = 1024


class TcpProxy:
    """Listens on a free port of 127.0.0.1 and connects each client with a server, and ends with `with`.

    The server may change: two servers under one address, as after a failover. Faults are switched by setting
    attributes, of the proxy for all or of `requests` and `replies` for one direction. Any thread may do so.

    Args:
        target: Host and port of the server.
        tls: Given, clients must speak TLS, which ends here: the server behind is reached without.
        takes_plain: Whether clients may speak without TLS all the same, as the servers behind proxies do with
            each other.
    """

    resets: bool = False
    """Whether each connection is reset as soon as it is made."""

    def __init__(
        self, target: tuple[str, int], *, tls: ssl.SSLContext | None = None, takes_plain: bool = False
    ) -> None:
        self.target = target
        self.tls = tls
        self.takes_plain = takes_plain
        self.requests = Traffic(self._wake_links)
        """What goes from clients to the server."""
        self.replies = Traffic(self._wake_links)
        """What goes from the server to clients."""
        self._lock = threading.Lock()
        self._links: set[Link] = set()
        self._accepted = 0
        self._waker = Waker()
        self._listener: socket.socket | None
        self._port, self._listener = _listen_somewhere()
        self._wants_to_listen = True
        self._is_closed = False
        self._settled = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"proxy-{self._port}", daemon=True)
        after_fork_in_child(self._let_go)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        host, port = self.target
        return f"<TcpProxy {self._port} to {host}:{port}, {self.open} open>"

    @property
    def port(self) -> int:
        """Where it listens; stays the same while it refuses."""
        return self._port

    @property
    def address(self) -> tuple[str, int]:
        """Host and port for clients."""
        return LOOPBACK, self._port

    def url_for(self, url: str) -> str:
        """Return the URL of a server with the proxy's address in place of its own."""
        parts = urllib.parse.urlsplit(url)
        credentials, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{credentials}{at}{LOOPBACK}:{self._port}").geturl()

    # -- faults

    @property
    def refuses(self) -> bool:
        """Whether nobody listens: connections are refused, open ones go on."""
        return not self._wants_to_listen

    @refuses.setter
    def refuses(self, value: bool) -> None:
        self._wants_to_listen = not value
        self._waker.wake()
        with self._settled:
            self._settled.wait_for(lambda: self._is_closed or (self._listener is None) == value)

    @property
    def black_hole(self) -> bool:
        """Whether connections are accepted and nothing passes any more, in neither direction."""
        return self.requests.stalled and self.replies.stalled

    @black_hole.setter
    def black_hole(self, value: bool) -> None:
        self.requests.stalled = value
        self.replies.stalled = value

    def drop(self, by: Ending = RST) -> int:
        """End all connections that are open now, and return how many there were.

        Args:
            by: `FIN` or `RST`.
        """
        links = self._open_links()
        for link in links:
            link.end(by)
        for link in links:
            link.join()
        return len(links)

    def heal(self) -> None:
        """End all faults; connections that are open go on."""
        self.requests.heal()
        self.replies.heal()
        self.resets = False
        if self.refuses:
            self.refuses = False

    # -- counters

    @property
    def accepted(self) -> int:
        """Connections made so far, those that were reset at once included."""
        return self._accepted

    @property
    def open(self) -> int:
        """Connections that are open now."""
        return len(self._open_links())

    # -- its end

    def close(self) -> None:
        """Stop listening and end all connections."""
        self._is_closed = True
        self._waker.wake()
        self._thread.join()
        self.drop()

    def forget(self, link: Link) -> None:
        """Take note that a connection has ended."""
        with self._lock:
            self._links.discard(link)

    def _open_links(self) -> list[Link]:
        with self._lock:
            return list(self._links)

    def _wake_links(self) -> None:
        for link in self._open_links():
            link.wake()

    # -- the thread that listens

    def _run(self) -> None:
        while not self._is_closed:
            self._settle()
            self._accept()
            self._waker.wait(None)
        self._stop_listening()
        self._waker.close()

    def _settle(self) -> None:
        with self._settled:
            if not self._wants_to_listen:
                self._stop_listening()
            elif self._listener is None:
                self._listener = _listen(self._port)
            if self._listener is not None:
                self._waker.watch(self._listener, selectors.EVENT_READ)
            self._settled.notify_all()

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._waker.watch(self._listener, 0)
            self._listener.close()
            self._listener = None

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._listener is not None:
                client, _ = self._listener.accept()
                self._accepted += 1
                if self.resets:
                    hang_up(client, RST)
                    continue
                link = Link(self, client)
                with self._lock:  # who finds a link may join it, so it has been started
                    self._links.add(link)
                    link.start()

    def _let_go(self) -> None:
        """In a forked child: our copies of the sockets would keep connections open that the parent ends."""
        for link in list(self._links):
            link.let_go()
        if self._listener is not None:
            self._listener.close()
        self._waker.let_go()
        self._lock, self._links, self._listener = threading.Lock(), set(), None


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    listener.setblocking(False)
    return listener


def _listen_somewhere() -> tuple[int, socket.socket]:
    while True:
        port = free_port()  # raises when there is none
        with contextlib.suppress(OSError):  # somebody was faster
            return port, _listen(port)
