"""A socket whose every wait ends at one deadline."""

import select
import socket
import sys
from collections.abc import Callable
from typing import Any

from greencache.typing import Seconds

__all__ = ["DeadlineSocket", "keepalive_options"]

_SLACK: Seconds = 0.02
"""How much later than its deadline a wait may end; spares a system call per wait."""
_KEEPALIVE_IDLE = 10
_KEEPALIVE_INTERVAL = 3
_KEEPALIVE_PROBES = 3
_USER_TIMEOUT = 10_000
"""Milliseconds after which the kernel gives up on bytes that nobody acknowledges."""


class DeadlineSocket:
    """Wraps a connected socket, plain or TLS.

    A time limit per `recv` is none at all against a server that sends one byte a second. Here each wait gets
    only what is left until the deadline of the whole exchange.

    Args:
        sock: The socket.
        now: Reads the clock.
        deadline: A reading of the clock at which to raise `TimeoutError`; to be set before each exchange.
    """

    __slots__ = ("_armed", "_now", "_poller", "_sock", "deadline")

    def __init__(self, sock: socket.socket, now: Callable[[], Seconds], deadline: Seconds) -> None:
        self._sock = sock
        self._now = now
        self.deadline = deadline
        self._armed: Seconds = -1.0
        self._poller: Any = None

    def _arm(self) -> None:
        left = self.deadline - self._now()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        # With the same time limit for each exchange the socket is armed once and for all.
        if not left <= self._armed < left + _SLACK:
            self._sock.settimeout(left)
            self._armed = left

    def sendall(self, data: bytes) -> None:
        """Send all of it."""
        # Not the socket's own sendall: under TLS and gevent its time limit starts anew with each piece.
        self._arm()
        sent = self._sock.send(data)
        if sent < len(data):
            self._send_rest(memoryview(data)[sent:])

    def _send_rest(self, rest: memoryview) -> None:
        while rest:
            self._arm()
            rest = rest[self._sock.send(rest) :]

    def recv(self, size: int) -> bytes:
        """Return what has come, or empty bytes at the end."""
        self._arm()
        return self._sock.recv(size)

    def recv_into(self, buffer: bytearray) -> int:
        """Put what has come into a buffer and return how much it was."""
        self._arm()
        return self._sock.recv_into(buffer)

    def is_readable(self) -> bool:
        """Return whether something waits to be read: bytes, the end, or an error. Never waits."""
        pending = getattr(self._sock, "pending", None)
        if pending is not None and pending():
            return True
        if self._poller is None:
            self._poller = self._new_poller()
        return bool(self._poller.poll(0))

    def _new_poller(self) -> Any:
        # gevent's own poll goes around the event loop even where nothing is to be waited for: slow, and a
        # place where a greenlet can be killed while it holds a connection.
        monkey = sys.modules.get("gevent.monkey")
        poll = monkey.get_original("select", "poll") if monkey else getattr(select, "poll", None)
        if poll is None:  # Windows
            return _SelectPoller(self._sock)
        poller = poll()
        poller.register(self._sock, select.POLLIN)
        return poller

    def settimeout(self, _: Seconds | None) -> None:
        """Do nothing: the deadline rules."""

    def shutdown(self, how: int) -> None:
        """End the connection; wakes whoever waits on it."""
        self._sock.shutdown(how)

    def close(self) -> None:
        """Give the descriptor back."""
        self._poller = None
        self._sock.close()


class _SelectPoller:
    """The little of `select.poll` that is needed, where there is only `select.select`."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def poll(self, timeout: int) -> list[socket.socket]:
        return select.select([self._sock], [], [], timeout)[0]


def keepalive_options() -> dict[int, int]:
    """Return the options of a socket that notices when its peer has vanished."""
    wanted = {
        "TCP_KEEPIDLE": _KEEPALIVE_IDLE,
        "TCP_KEEPALIVE": _KEEPALIVE_IDLE,  # macOS's name for the same
        "TCP_KEEPINTVL": _KEEPALIVE_INTERVAL,
        "TCP_KEEPCNT": _KEEPALIVE_PROBES,
        "TCP_USER_TIMEOUT": _USER_TIMEOUT,
    }
    return {getattr(socket, name): value for name, value in wanted.items() if hasattr(socket, name)}
