"""How many loaders run at once in a process, so that a cold cache does not drown the source."""

import contextlib
import math
import threading
import time
from collections.abc import Iterator
from typing import TypeAlias

from greencache.errors import ConfigurationError, LoadTimeoutError
from greencache.forks import after_fork_in_child
from greencache.typing import Seconds

__all__ = ["LoadGate"]

_LOOK_AGAIN: Seconds = 0.2
"""Who leaves wakes who is next; should it be interrupted before it can, who waits looks after this long."""

_Arrivals: TypeAlias = "dict[int, threading.Lock | None]"
"""Threads, or greenlets, in order of arrival; a lock for one that waits, released to wake it."""


class LoadGate:
    """Lets a number of loads through and queues the others, first come, first served.

    Places are not counted but derived: the first `limit` threads that arrived and have not left are in. So
    one atomic step on a dict takes a place and one gives it back; neither takes a lock, and no exception
    thrown into a thread or greenlet can come between a place and its record.

    A load that begins within another one passes: it belongs to one that was let through, and if it
    waited, loads within loads could hold all places and wait for each other.

    Args:
        limit: How many loads may run at once; `None` for any number.
        patience: Seconds to wait for a place.

    Raises:
        ConfigurationError: A limit below 1, or a patience that is negative or endless.
    """

    def __init__(self, limit: int | None, patience: Seconds) -> None:
        _require_limit(limit)
        _require_patience(patience)
        self._limit = limit
        self._patience = patience
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        # The parent's loads do not run in the child. One that forked leaves by the dict it came in by.
        self._arrivals: _Arrivals = {}

    @contextlib.contextmanager
    def passed(self) -> Iterator[None]:
        """Hold a place while the body runs.

        Raises:
            LoadTimeoutError: If no place became free in time; the body has not run.
        """
        limit, arrivals, me = self._limit, self._arrivals, threading.get_ident()
        if limit is None or me in arrivals:
            yield
            return
        try:
            arrivals[me] = None
            self._await_place(limit, arrivals, me)
            yield
        finally:
            # First of all, since an exception may come after any call.
            arrivals.pop(me, None)
            _wake_first(limit, arrivals)

    def _await_place(self, limit: int, arrivals: _Arrivals, me: int) -> None:
        deadline = time.monotonic() + self._patience
        while not _is_in(limit, arrivals, me):
            left = deadline - time.monotonic()
            if left <= 0:
                raise LoadTimeoutError(
                    f"expected one of {limit} places for loading within {self._patience:g} s, all were"
                    f" taken; loads are slow, or max_concurrent_loads is low"
                )
            # A lock of one's own, since an exception in the Python code of a Condition, an Event or a
            # Semaphore can leave theirs taken for ever.
            door = threading.Lock()
            door.acquire()
            arrivals[me] = door
            # Who left before the door could be seen has not opened it.
            if not _is_in(limit, arrivals, me):
                door.acquire(timeout=min(left, _LOOK_AGAIN))
        arrivals[me] = None


def _require_limit(limit: object) -> None:
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise ConfigurationError(
            f"max_concurrent_loads must be a whole number from 1, or None for no limit, got {limit!r}"
        )


def _require_patience(patience: object) -> None:
    if not (isinstance(patience, int | float) and 0 <= patience < math.inf):
        raise ConfigurationError(f"patience must be seconds from 0, and not endless, got {patience!r}")


def _is_in(limit: int, arrivals: _Arrivals, me: int) -> bool:
    # Copied in one atomic step. Places only move up, so who is in stays in.
    return me in list(arrivals)[:limit]


def _wake_first(limit: int, arrivals: _Arrivals) -> None:
    for door in list(arrivals.values())[:limit]:
        if door is not None:
            # Somebody who left at the same time may have opened it.
            with contextlib.suppress(RuntimeError):
                door.release()
