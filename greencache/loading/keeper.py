"""Keeps leases while loads run that take longer than a lease lasts."""

import contextlib
import dataclasses
import math
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Final, TypeAlias

from greencache.forks import after_fork_in_child
from greencache.tiers.base import Lease
from greencache.tiers.guarded import GuardedTier
from greencache.typing import Key, Seconds

__all__ = ["Held", "LeaseKeeper"]

Held: TypeAlias = tuple[GuardedTier, dict[Key, Lease]]
"""Leases, and the tier that gave them."""

_NOTHING_HELD: Final = contextlib.nullcontext()
_ROUNDS = 3
"""Rounds within a lease: two may fail, or come late, before it ends."""
_IDLE_ROUNDS = 5
_IDLE_PAUSE: Seconds = 0.3


@dataclasses.dataclass(slots=True, eq=False)
class _Holding:
    """The leases of one load.

    Args:
        begun: When they were asked for.
        held: The leases.
        due: When they are to be extended next.
    """

    begun: Seconds
    held: Sequence[Held]
    due: Seconds


class LeaseKeeper:
    """Extends the leases of loads under way, on a thread of its own, until they end or have lasted too long.

    A load that is over before the first round costs two changes of a dict. Times are the machine's, like
    those of leases on servers. A process that is stopped, or a hub that is blocked, extends nothing, so its
    leases end; what it then loads is refused by every tier that somebody else has filled meanwhile.

    Args:
        longest: Seconds after which a load is taken for hung: its leases are left to end.
    """

    def __init__(self, longest: Seconds) -> None:
        self._longest = longest
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        # The loads of the parent are its own to keep.
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._holdings: dict[object, _Holding] = {}
        self._sleeps_until = math.inf
        self._is_running = False
        self._is_closed = False

    def keeping(self, held: Sequence[Held], begun: Seconds | None = None) -> AbstractContextManager[None]:
        """Keep leases while the body runs.

        Args:
            held: The leases.
            begun: When they were asked for, by `time.monotonic`; by default now. What was long in coming is
                nearer to its end.
        """
        return self._keeping(held, begun) if held else _NOTHING_HELD

    @contextlib.contextmanager
    def _keeping(self, held: Sequence[Held], begun: Seconds | None) -> Iterator[None]:
        me = object()
        try:
            begun = time.monotonic() if begun is None else begun
            due = begun + _pause(held)
            self._holdings[me] = _Holding(begun, held, due)
            if not self._is_running:
                self._start()
            elif due < self._sleeps_until:
                self._wake.set()
            yield
        finally:
            self._holdings.pop(me, None)

    def close(self) -> None:
        """Extend nothing any more."""
        self._is_closed = True
        self._wake.set()

    def _start(self) -> None:
        with self._lock:
            if self._is_running or self._is_closed:
                return
            self._is_running = True
        try:
            threading.Thread(target=self._run, name="greencache-leases", daemon=True).start()
        except (RuntimeError, MemoryError):
            # No thread to be had: loads that outlast their lease may then run twice.
            self._is_running = False

    def _run(self) -> None:
        idle = 0
        try:
            while idle < _IDLE_ROUNDS and not self._is_closed:
                self._sleep()
                idle = 0 if self._holdings else idle + 1
                for load, holding in list(self._holdings.items()):
                    try:
                        self._extend(holding)
                    except BaseException:
                        # A tier that raises this ends the thread, but not the keeping of other loads.
                        self._holdings.pop(load, None)
                        raise
        finally:
            self._is_running = False
            # A load that began between the last look and the line above has found this still running.
            if self._holdings:
                self._start()

    def _sleep(self) -> None:
        # In this order: who comes while it is decided how long to sleep finds it for ever, and wakes.
        self._wake.clear()
        self._sleeps_until = math.inf
        now = time.monotonic()
        due = min((each.due for each in list(self._holdings.values())), default=now + _IDLE_PAUSE)
        pause = max(0.0, due - now)
        self._sleeps_until = due
        if not self._is_closed:
            self._wake.wait(pause)

    def _extend(self, holding: _Holding) -> None:
        now = time.monotonic()
        holding.due = now + _pause(holding.held)
        lasted = now - holding.begun
        for tier, leases in holding.held:
            if self._is_closed:
                return
            if leases and tier.lease_ttl / _ROUNDS / 2 < lasted < self._longest:
                good = tier.extend_many(dict(leases))
                # What was dropped or has ended meanwhile is not to be asked for again.
                for key in [key for key in leases if good is not None and key not in good]:
                    leases.pop(key, None)


def _pause(held: Sequence[Held]) -> Seconds:
    return min(tier.lease_ttl for tier, _ in held) / _ROUNDS
