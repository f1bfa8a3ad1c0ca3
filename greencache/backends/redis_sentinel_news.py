"""Hearing of a failover at once, on a thread of its own."""

import contextlib
import threading
import weakref
from collections.abc import Callable

from greencache.backends.redis_connection import GuardedConnection
from greencache.backends.redis_errors import FOREIGN_ERRORS, TIMEOUTS
from greencache.backends.redis_gate import PATIENCE
from greencache.backends.redis_protocol import pack
from greencache.backends.redis_sentinel import PrimaryFinder
from greencache.clock import Clock
from greencache.forks import after_fork_in_child
from greencache.typing import Seconds

__all__ = ["SentinelNews"]

_CHANNELS = (b"+switch-master", b"+promoted-slave")
_SUBSCRIBE = pack([b"SUBSCRIBE", *_CHANNELS])
_QUIET: Seconds = 1.0
"""Without news a sentinel is asked this often, each in turn. News can be missed, and a former primary goes on
acknowledging writes for ten seconds after a manual failover (redis/redis#6062): this bounds that time."""


class SentinelNews:
    """Listens to what sentinels announce, and asks them again when they do.

    Args:
        finder: Asks them.
        clock: Tells the time.
    """

    def __init__(self, finder: PrimaryFinder, clock: Clock) -> None:
        self._finder = finder
        self._clock = clock
        self._is_closed = False
        self._number = 0
        self._forget()
        after_fork_in_child(self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_listening = False
        self._connection: GuardedConnection | None = None

    def locate(self, deadline: Seconds) -> tuple[str, int]:
        """Return where the primary is, and begin to listen; raises as `PrimaryFinder.locate` does."""
        self.start()
        return self._finder.locate(deadline).place

    def doubt(self) -> None:
        """Ask again before the next connection."""
        self._finder.doubt()

    def require_primary(self, connection: GuardedConnection, deadline: Seconds) -> None:
        """Ask a new connection whether it is one to the primary."""
        self._finder.require_primary(connection, deadline)

    def start(self) -> None:
        """Begin to listen, unless somebody does; anew in a forked child."""
        # Not `Thread.is_alive`: when a signal handler raises in it, it takes a thread that runs for one that
        # has ended, for ever (seen with Python 3.11).
        if not self._wants_listener():
            return
        with self._lock:
            if not self._wants_listener():
                return
            # Not kept alive by its own thread: who forgets to close a manager loses no thread for ever.
            listen = threading.Thread(
                target=_listen, args=(weakref.WeakMethod(self.step),), name="greencache-sentinel", daemon=True
            )
            # Known before it starts: a caller who is cut short in the midst of that leaves nobody who listens
            # beside the next one.
            self._thread = listen
            # No thread to be had now: callers ask for themselves when there is trouble.
            with contextlib.suppress(RuntimeError):
                listen.start()

    def _wants_listener(self) -> bool:
        return not (self._is_closed or self._is_listening)

    def close(self) -> None:
        """Stop listening."""
        self._is_closed = True
        self._stop.set()
        if self._connection is not None:
            self._connection.wake()

    def step(self) -> bool:
        """Wait for news for a while, ask if there is any or none; return whether to go on."""
        if threading.current_thread() is not self._thread:
            return False  # another one has been started in its place
        self._is_listening = True
        try:
            self._hear()
        except BaseException:
            self._is_listening = False
            raise
        if self._stop.is_set():
            self._leave()
            return False
        return True

    def _hear(self) -> None:
        try:
            has_news = self._wait()
            self._number += 1
            end = self._clock.now() + 2 * _QUIET
            if has_news:
                self._finder.ask_at_once(end, self._finder.last)
            else:
                self._finder.ask(end, self._number % len(self._finder.sentinels))
        except FOREIGN_ERRORS:
            # The sentinel is gone. Another one that answers is found, and then listened to.
            self._leave()
            self._number += 1
            self._finder.ask(self._clock.now() + _QUIET, self._number % len(self._finder.sentinels))
            self._stop.wait(PATIENCE)

    def _wait(self) -> bool:
        connection = self._connection
        if connection is None:
            connection = self._finder.connect(self._finder.sentinels[self._finder.last])
            self._connection = connection
            connection.exchange(_SUBSCRIBE, len(_CHANNELS), self._clock.now() + self._finder.patience)
            return True  # whatever was announced before
        try:
            connection.exchange(b"", 1, self._clock.now() + _QUIET)
        except TIMEOUTS:
            return False  # and nothing was read, or the parser goes on where it was
        return True

    def _leave(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abandon()


def _listen(step: Callable[[], Callable[[], bool] | None]) -> None:
    while True:
        call = step()
        if call is None or not call():
            return
        del call
