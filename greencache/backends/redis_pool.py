"""A bounded pool of connections that no exception, wherever it strikes, can make smaller.

Slots are not counted but derived: as many are taken as connection objects are alive. A connection that was
lost, because a signal handler or a killed greenlet unwound the stack between two instructions, is collected
by Python, closes its socket as it goes, and so gives its slot back.
"""

import collections
import contextlib
import threading
import weakref
from collections.abc import Callable

from greencache.backends.redis_connection import GuardedConnection
from greencache.backends.retry import RefusedError
from greencache.clock import Clock
from greencache.forks import after_fork_in_child
from greencache.typing import Seconds

__all__ = ["ConnectionPool"]

_LOOK_AGAIN: Seconds = 0.05
"""A slot that the garbage collector gives back wakes nobody, so who waits looks again after this long."""


class ConnectionPool:
    """Lends connections, the one used last first.

    Args:
        make: Makes a connection without opening it.
        size: How many may be alive at once.
        label: The server's name in messages.
        clock: Tells the time.
    """

    def __init__(self, make: Callable[[], GuardedConnection], size: int, label: str, clock: Clock) -> None:
        self._make = make
        self._size = size
        self._label = label
        self._clock = clock
        self._is_closed = False
        self._forget()
        after_fork_in_child(self._forget)

    def _forget(self) -> None:
        # In a forked child: the parent's sockets are let go of, which closes our copies of the descriptors
        # and sends nothing; a connection that is out just now finds another generation when it comes back.
        self._lock = threading.Lock()
        self._generation = object()
        self._idle: list[GuardedConnection] = []
        self._live: weakref.WeakSet[GuardedConnection] = weakref.WeakSet()
        self._waiters: collections.deque[threading.Lock] = collections.deque()

    def __len__(self) -> int:
        return len(self._live)

    def acquire(self, deadline: Seconds) -> GuardedConnection:
        """Return a connection that nobody else has: an idle one, a new one, or one that comes free in time.

        Args:
            deadline: A reading of the clock at which to give up.

        Raises:
            RefusedError: None came free, or the pool is closed.
        """
        while True:
            try:
                # Atomic, so the way of nearly all calls takes no lock.
                connection = self._idle.pop()
            except IndexError:
                made = self._make_one()
                if made is not None:
                    return made
                self._wait(deadline)
                continue
            if not connection.is_stale:
                return connection
            self._discard(connection)

    def release(self, connection: GuardedConnection) -> None:
        """Take a connection back; it is kept only if it is clean."""
        if connection.is_dirty or connection.generation is not self._generation:
            self._discard(connection)
        else:
            self._idle.append(connection)
        if self._waiters:
            self._wake_one()

    def drop_idle(self) -> None:
        """Close the connections that nobody uses, since their server is not what it was."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            self._discard(connection)

    def renew(self) -> None:
        """Use no connection again that was opened until now: another server has its place."""
        self._generation = object()
        self.drop_idle()

    def connections(self) -> list[GuardedConnection]:
        """Return all connections, those in use too."""
        with self._lock:
            while True:
                try:
                    return list(self._live)
                except RuntimeError:  # another thread has just given one up
                    continue

    def close(self) -> None:
        """Close what is idle now, and what is in use when it comes back."""
        self._is_closed = True
        self.renew()
        while self._waiters:
            self._wake_one()

    def _make_one(self) -> GuardedConnection | None:
        with self._lock:
            if self._is_closed:
                raise RefusedError(f"Redis {self._label}: its manager was closed")
            if len(self._live) >= self._size:
                return None
            connection = self._make()
            connection.generation = self._generation
            self._live.add(connection)
            return connection

    def _discard(self, connection: GuardedConnection) -> None:
        self._live.discard(connection)
        connection.abandon()

    def _wait(self, deadline: Seconds) -> None:
        left = deadline - self._clock.now()
        if left <= 0:
            raise RefusedError(
                f"Redis {self._label}: none of {self._size} connections came free in time; "
                "raise max_connections or the deadline, or look for slow commands"
            )
        # A lock of one's own as a gate, opened once by whoever releases. A Condition would do the same, but
        # an exception inside its Python code can leave its lock taken for ever.
        gate = threading.Lock()
        gate.acquire()
        self._waiters.append(gate)
        try:
            # A connection may have come back just before the gate could be seen.
            if not self._idle and len(self._live) >= self._size:
                gate.acquire(timeout=min(left, _LOOK_AGAIN))
        finally:
            with contextlib.suppress(ValueError):  # it was opened
                self._waiters.remove(gate)

    def _wake_one(self) -> None:
        with contextlib.suppress(IndexError):  # somebody else was quicker
            self._waiters.popleft().release()
