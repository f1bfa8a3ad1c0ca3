"""One load per key in a process: a leader loads, followers wait for what it found.

Knows nothing of caches: it maps keys to futures. Threads, greenlets and event loops can wait for the same
flight, because it carries a `concurrent.futures.Future`.
"""

import math
import threading
import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Future, InvalidStateError
from typing import Any, TypeAlias

from greencache.forks import after_fork_in_child
from greencache.typing import Key, Seconds

__all__ = ["Flight", "FlightTable"]

_Outcome: TypeAlias = tuple[Any, BaseException | None]
"""What a leader has found, and what it has raised."""


class Flight:
    """A load that is under way.

    Args:
        owner: The identity of the thread, or greenlet, that began it.
        table: Where it lands.
    """

    __slots__ = (
        "_future",
        "_outcome",
        "_table",
        "began",
        "ended_by",
        "is_shared",
        "is_urgent",
        "meanwhile",
        "on_urgent",
        "owner",
    )

    def __init__(self, owner: int, table: "FlightTable") -> None:
        self.owner = owner
        self._table = table
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
        self._future: Future[Any] | None = None
        self._outcome: _Outcome | None = None

    @property
    def has_landed(self) -> bool:
        """Whether its leader has found something, or failed."""
        return self._outcome is not None

    @property
    def future(self) -> "Future[Any]":
        """What the leader will find. Made for who asks first: most flights have nobody who waits for them."""
        # The table's lock as it is now, since a fork replaces it. Under it, who lands either finds the future
        # here, or has left what is found for this.
        with self._table.lock:
            if self._future is None:
                future: Future[Any] = Future()
                if self._outcome is not None:
                    _hand(self._outcome, future)
                # Last: should this thread be interrupted above, the next one makes another.
                self._future = future
            return self._future

    def land(self, found: Any, error: BaseException | None) -> None:
        """Hand an outcome to all who wait. The table does so, once, after it has forgotten the flight."""
        outcome = (found, error)
        with self._table.lock:
            if self._outcome is not None:
                raise InvalidStateError("a flight lands once")
            self._outcome = outcome
            future = self._future
        if future is not None:
            _hand(outcome, future)

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
        if self._outcome is None:
            self.future.exception(timeout)
        # Not what the future has, which gets it a moment after the flight has landed.
        assert self._outcome is not None  # noqa: S101 -- it comes before the future has it
        found, error = self._outcome
        # Says whether it is shared before it lands, so that is known once the wait is over.
        if not is_own and not self.is_shared:
            return None
        if error is not None:
            raise error
        return found


class FlightTable:
    """The flights that are under way, by key."""

    def __init__(self) -> None:
        self._forget()
        after_fork_in_child(self._forget)

    def _forget(self) -> None:
        # In a forked child no leader of the parent is alive, and its lock may be held by nobody.
        self.lock = threading.Lock()
        """Guards the table, and what its flights have found."""
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
        with self.lock:
            flight = self._flights.get(key)
            is_own = flight in inside
            is_free = flight is None or (flight.began < hung_before and not is_own)
            if flight is not None and not is_free and not is_own:
                return flight, False
            # A leader that comes here again, from within its own loader, loads for itself: nobody else
            # joins this inner flight, since the outer one keeps its place in the table.
            inner = Flight(threading.get_ident(), self)
            if is_free:
                self._flights[key] = inner
            return inner, True

    def under_way(self, key: Key) -> Flight | None:
        """Return the flight of a key that others can join, without joining it."""
        return self._flights.get(key)

    def land(self, key: Key, flight: Flight, found: Any) -> None:
        """Hand what was found to all who wait, and end the flight."""
        self._remove(key, flight)
        flight.land(found, None)

    def crash(self, key: Key, flight: Flight, error: BaseException) -> None:
        """Hand an error to all who wait, and end the flight."""
        self._remove(key, flight)
        flight.land(None, error)

    def _remove(self, key: Key, flight: Flight) -> None:
        with self.lock:
            # A detached flight no longer has its place; another may have taken it.
            if self._flights.get(key) is flight:
                del self._flights[key]

    def detach(self, keys: Iterable[Key]) -> None:
        """Let nobody else join the flights of these keys, since what they find may be outdated.

        Who has joined already asked before now and may still get it.
        """
        with self.lock:
            for key in keys:
                self._flights.pop(key, None)

    def abandon(self, key: Key, flight: Flight) -> None:
        """Let nobody else join a flight whose leader hangs; another that has taken its place goes on."""
        self._remove(key, flight)

    def detach_where(self, matches: Callable[[Key], bool]) -> None:
        """Let nobody else join the flights whose keys match."""
        with self.lock:
            flying = list(self._flights)
        # The caller's predicate runs outside the lock. A flight that begins meanwhile began after the
        # drop that this call belongs to.
        self.detach([key for key in flying if matches(key)])


def _hand(outcome: _Outcome, future: "Future[Any]") -> None:
    found, error = outcome
    if error is None:
        future.set_result(found)
    else:
        future.set_exception(error)
