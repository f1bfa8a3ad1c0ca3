"""One load per key in a process: a leader loads, followers wait for what it found.

Knows nothing of caches: it maps keys to futures. Threads, greenlets and event loops can wait for the same
flight, because it carries a `concurrent.futures.Future`.
"""

import math
import threading
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future
from typing import Any

from greencache.forks import after_fork_in_child
from greencache.typing import Key, Seconds

__all__ = ["Flight", "FlightTable"]


class Flight:
    """A load that is under way.

    Args:
        owner: The identity of the thread, or greenlet, that began it.
    """

    __slots__ = ("_future", "began", "ended_by", "is_shared", "is_urgent", "meanwhile", "on_urgent", "owner")

    def __init__(self, owner: int) -> None:
        self.owner = owner
        self.began = time.monotonic()
        """When, for whoever asks what it is waiting for."""
        self.meanwhile: Any = None
        """What may be had by whoever cannot wait until it lands; `None` for nothing."""
        self.ended_by: BaseException | None = None
        """What ended its leader's thread, if that is why it has landed."""
        self.is_shared = True
        """Whether what its leader has found, or its error, is for others too; else they look themselves."""
        self.is_urgent = False
        """Whether one waits for it that keeps others waiting."""
        self.on_urgent: Callable[[], object] | None = None
        """Is called when it becomes urgent, on the thread of whoever waits."""
        self._future: Future[Any] = Future()

    @property
    def future(self) -> "Future[Any]":
        """What the leader will find."""
        return self._future

    def urge(self) -> None:
        """Say that one waits for it that keeps others waiting."""
        self.is_urgent = True
        if self.on_urgent is not None:
            self.on_urgent()

    def wait(self, timeout: Seconds | None, *, is_own: bool = True) -> Any:
        """Return what the leader found; `None` to others if that, or its error, is for it alone.

        Args:
            timeout: Seconds to wait at most; `None` for ever.
            is_own: Whether the caller leads it.

        Raises:
            TimeoutError: If it has not landed by then.
            BaseException: What the leader raised, unchanged.
        """
        if not is_own:
            # Says whether it is shared before it lands, so that is known once the wait is over.
            self._future.exception(timeout)
            if not self.is_shared:
                return None
        return self._future.result(timeout)


class FlightTable:
    """The flights that are under way, by key."""

    def __init__(self) -> None:
        self._forget()
        after_fork_in_child(self._forget)

    def _forget(self) -> None:
        # In a forked child no leader of the parent is alive, and its lock may be held by nobody.
        self._lock = threading.Lock()
        self._flights: dict[Key, Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def join(
        self, key: Key, inside: Collection[Flight] = (), *, hung_before: Seconds = -math.inf
    ) -> tuple[Flight, bool]:
        """Return the flight of a key, and whether the caller leads it and so must land it.

        Args:
            key: What is to be loaded.
            inside: The flights that the caller is itself a part of, and so cannot wait for.
            hung_before: Who began before this moment of `time.monotonic` is no longer joined.
        """
        with self._lock:
            flight = self._flights.get(key)
            is_own = flight in inside
            is_free = flight is None or (flight.began < hung_before and not is_own)
            if flight is not None and not is_free and not is_own:
                return flight, False
            # A leader that comes here again, from within its own loader, loads for itself: nobody else
            # joins this inner flight, since the outer one keeps its place in the table.
            inner = Flight(threading.get_ident())
            if is_free:
                self._flights[key] = inner
            return inner, True

    def under_way(self, key: Key) -> Flight | None:
        """Return the flight of a key that others can join, without joining it."""
        return self._flights.get(key)

    def land(self, key: Key, flight: Flight, found: Any) -> None:
        """Hand what was found to all who wait, and end the flight."""
        self._remove(key, flight)
        flight.future.set_result(found)

    def crash(self, key: Key, flight: Flight, error: BaseException) -> None:
        """Hand an error to all who wait, and end the flight."""
        self._remove(key, flight)
        flight.future.set_exception(error)

    def _remove(self, key: Key, flight: Flight) -> None:
        with self._lock:
            # A detached flight no longer has its place; another may have taken it.
            if self._flights.get(key) is flight:
                del self._flights[key]

    def detach(self, keys: Iterable[Key]) -> None:
        """Let nobody else join the flights of these keys, since what they find may be outdated.

        Who has joined already asked before now and may still get it.
        """
        with self._lock:
            for key in keys:
                self._flights.pop(key, None)

    def abandon(self, key: Key, flight: Flight) -> None:
        """Let nobody else join a flight whose leader hangs; another that has taken its place goes on."""
        self._remove(key, flight)

    def detach_where(self, matches: Callable[[Key], bool]) -> None:
        """Let nobody else join the flights whose keys match."""
        with self._lock:
            flying = list(self._flights)
        # The caller's predicate runs outside the lock. A flight that begins meanwhile began after the
        # drop that this call belongs to.
        self.detach([key for key in flying if matches(key)])
