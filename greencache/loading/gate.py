"""How many loaders run at once in a process, so that a cold cache does not drown the source."""

import contextlib
import math
import threading
import time
from collections.abc import Collection, Iterator
from typing import Protocol, TypeAlias

from greencache.errors import ConfigurationError, LoadTimeoutError
from greencache.flight import Flight
from greencache.forks import after_fork_in_child
from greencache.loading.load import is_loading, loads_under_way
from greencache.typing import Seconds

__all__ = ["LOOK_AGAIN", "Door", "LoadGate", "Queue"]

LOOK_AGAIN: Seconds = 0.2
"""Who leaves wakes who is next; should it be interrupted before it can, who waits looks after this long."""

_Arrivals: TypeAlias = "dict[object, Door | None]"
"""Loads in order of arrival; for one that waits, the door that it waits at."""


class Door(Protocol):
    """What a load waits at; a lock is one."""

    def release(self) -> object:
        """Let it look again whether it is in."""
        ...


class LoadGate:
    """Lets a number of loads through and queues the others, first come, first served.

    Places are not counted but derived: the first `limit` loads that arrived and have not left are in. So
    one atomic step on a dict takes a place and one gives it back; neither takes a lock, and no exception
    thrown into a thread or greenlet can come between a place and its record.

    A load that begins within another one needs no place: it belongs to one that was let through, and if it
    waited, loads within loads could hold all places and wait for each other. For the same reason one that
    waits is let through as soon as a load within another one waits for its flight.

    Args:
        limit: How many loads may run at once; `None` for any number.
        patience: Seconds to wait for a place.

    Raises:
        ConfigurationError: A limit below 1, or a patience that is negative or endless.
    """

    def __init__(self, limit: int | None, patience: Seconds) -> None:
        _require_limit(limit)
        _require_patience(patience)
        self.limit = limit
        self.patience = patience
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        # The parent's loads do not run in the child. One that forked leaves by the dict it came in by.
        self._arrivals: _Arrivals = {}

    @property
    def is_passed(self) -> bool:
        """Whether the caller runs within a load that was let through."""
        return is_loading() and any(load.gate is self for load in loads_under_way())

    @contextlib.contextmanager
    def passed(self, flights: Collection[Flight] = ()) -> Iterator[None]:
        """Hold a place while the body runs; wait for it on this thread.

        Args:
            flights: What is loaded; it is let through when one of them becomes urgent.

        Raises:
            LoadTimeoutError: If no place became free in time; the body has not run.
        """
        with self.queued(flights) as queue:
            deadline = time.monotonic() + self.patience
            while not queue.is_in:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise self.refusal()
                # A lock of one's own, since an exception in the Python code of a Condition, an Event or a
                # Semaphore can leave theirs taken for ever.
                door = threading.Lock()
                door.acquire()
                if not queue.waits_at(door):
                    door.acquire(timeout=min(left, LOOK_AGAIN))
            yield

    @contextlib.contextmanager
    def queued(self, flights: Collection[Flight] = ()) -> Iterator["Queue"]:
        """Stand in the queue, and then hold a place, while the body runs."""
        limit, arrivals = self.limit, self._arrivals
        queue = Queue(limit, arrivals, flights)
        try:
            for flight in flights:
                flight.on_urgent = queue.open_door
            if limit is not None:
                arrivals[queue] = None
            yield queue
        finally:
            # First of all, since an exception may come after any call.
            arrivals.pop(queue, None)
            if limit is not None:
                _wake_first(limit, arrivals)

    def refusal(self) -> LoadTimeoutError:
        """Return what is raised when no place became free in time."""
        return LoadTimeoutError(
            f"expected one of {self.limit} places for loading within {self.patience:g} s, all were taken;"
            f" loads are slow, or max_concurrent_loads is low"
        )


class Queue:
    """A load's place in the queue."""

    __slots__ = ("_arrivals", "_flights", "_limit")

    def __init__(self, limit: int | None, arrivals: _Arrivals, flights: Collection[Flight]) -> None:
        self._limit = limit
        self._arrivals = arrivals
        self._flights = flights

    @property
    def is_in(self) -> bool:
        """Whether it is let through."""
        if self._limit is None or any(flight.is_urgent for flight in self._flights):
            return True
        # Copied in one atomic step. Places only move up, so who is in stays in.
        return self in list(self._arrivals)[: self._limit]

    def waits_at(self, door: Door) -> bool:
        """Wait at a door from now on, and return whether there is nothing to wait for any more."""
        self._arrivals[self] = door
        # Who left, or urged, before the door could be seen has not opened it.
        return self.is_in

    def open_door(self) -> None:
        """Let it look again whether it is in."""
        _open(self._arrivals.get(self))


def _require_limit(limit: object) -> None:
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise ConfigurationError(
            f"max_concurrent_loads must be a whole number from 1, or None for no limit, got {limit!r}"
        )


def _require_patience(patience: object) -> None:
    if not (isinstance(patience, int | float) and 0 <= patience < math.inf):
        raise ConfigurationError(f"patience must be seconds from 0, and not endless, got {patience!r}")


def _wake_first(limit: int, arrivals: _Arrivals) -> None:
    for door in list(arrivals.values())[:limit]:
        _open(door)


def _open(door: Door | None) -> None:
    if door is not None:
        # Somebody else may have opened it at the same time.
        with contextlib.suppress(RuntimeError):
            door.release()
