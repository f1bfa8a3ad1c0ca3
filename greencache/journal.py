"""What the last reads of a key did and why, kept for whoever asks."""

import collections
import enum
import itertools
import operator
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

from greencache.clock import Clock
from greencache.forks import after_fork_in_child
from greencache.typing import CacheTier, Key, Seconds

__all__ = ["Journal", "Outcome", "ReadRecord"]


class Outcome(enum.StrEnum):
    """What became of a read that L1 did not answer; one read may have several in a row."""

    HIT = "hit"
    """A tier below L1 had it."""
    MISSED = "missed"
    """No tier had it, and the caller gave no loader."""
    JOINED = "joined"
    """Took what another caller of this process was loading."""
    WAITED = "waited"
    """Took what another process was loading."""
    LOADED = "loaded"
    """Called the loader."""
    CONFIRMED = "confirmed"
    """Called the loader, which said that a stale value still holds."""
    STALE_SERVED = "stale_served"
    """Served a stale value, since nothing better was to be had in time."""
    DEGRADED = "degraded"
    """Served a value that could not be proved, since the authority was out of reach."""
    NOT_STORED = "not_stored"
    """Did not store what was loaded, since the key was dropped or written meanwhile."""
    DECLINED = "declined"
    """Did not store what was loaded, since the loader said so."""
    FAILED = "failed"
    """The loader raised."""
    TIMED_OUT = "timed_out"
    """Waited in vain: for the loader, for a place to load, or for somebody else's load."""


class ReadRecord(NamedTuple):
    """One outcome of one read.

    Args:
        at: When, in seconds of the process's clock.
        wall: When, in seconds since 1970.
        outcome: What became of it.
        tiers: Where, if that matters.
        seconds: How long it took, if that matters.
        detail: Why, in a few words; never a value of the user's.
    """

    at: Seconds
    wall: Seconds
    outcome: Outcome
    tiers: tuple[CacheTier, ...] = ()
    seconds: Seconds | None = None
    detail: str = ""


_Raw: TypeAlias = tuple[Seconds, Seconds, Outcome, tuple[CacheTier, ...], Seconds | None, str]


class Journal:
    """Keeps the last outcomes of each of the keys that were read last.

    Writing takes no lock, so a thread or greenlet that is stopped in the middle of it holds up nobody: each
    step is one atomic operation of a dict or a deque. Two writers may tread on each other where a key is new
    or pushed out: then one record is lost, which no decision depends on.

    Args:
        clock: Where the time comes from.
        capacity: How many keys are remembered; a quarter, least recently noted, makes way for new ones.
        depth: How many outcomes of each.
    """

    def __init__(self, clock: Clock, *, capacity: int = 1_000, depth: int = 8) -> None:
        self._now = clock.now
        self._wall = clock.wall
        self._capacity = capacity
        self._depth = depth
        self._forget()
        after_fork_in_child(self._forget)

    def _forget(self) -> None:
        # What the parent read is no read of the child.
        self._records: dict[Key, collections.deque[_Raw]] = {}

    def note(
        self,
        key: Key,
        outcome: Outcome,
        *tiers: CacheTier,
        seconds: Seconds | None = None,
        detail: str = "",
    ) -> None:
        """Note an outcome of a read.

        Args:
            key: What was read.
            outcome: What became of it.
            tiers: Where, if that matters.
            seconds: How long it took, if that matters.
            detail: Why, in a few words that contain nothing of the value.
        """
        records = self._records
        kept = records.get(key)
        if kept is None:
            if len(records) >= self._capacity:
                self._make_room(records)
            kept = records.setdefault(key, collections.deque(maxlen=self._depth))
        # A plain tuple: a named one would take as long as all the rest.
        kept.append((self._now(), self._wall(), outcome, tiers, seconds, detail))

    def note_many(
        self,
        keys: Iterable[Key],
        outcome: Outcome,
        *tiers: CacheTier,
        seconds: Seconds | None = None,
        detail: str = "",
    ) -> None:
        """Note the same outcome of many reads; of more than are remembered, the first ones."""
        for key in itertools.islice(keys, self._capacity):
            self.note(key, outcome, *tiers, seconds=seconds, detail=detail)

    def recent(self, key: Key) -> tuple[ReadRecord, ...]:
        """Return the last outcomes of reads of a key, the oldest first; none of hits in L1."""
        kept = self._records.get(key)
        # Copied in one atomic step: others may be writing.
        return () if kept is None else tuple(map(ReadRecord._make, kept.copy()))

    def __len__(self) -> int:
        return len(self._records)

    def _make_room(self, records: dict[Key, collections.deque[_Raw]]) -> None:
        # Sorting for a quarter of the capacity costs each of these new keys a microsecond. Copies, each made
        # in one atomic step, since others go on writing meanwhile.
        ages = [(kept[-1][0], key) for key, kept in list(records.items()) if kept]
        ages.sort(key=operator.itemgetter(0))
        for _, key in ages[: max(1, self._capacity // 4)]:
            records.pop(key, None)
