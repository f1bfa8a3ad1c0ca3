"""Looking through L1 without leaving a trace in it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from greencache.clock import Clock
from greencache.entry import Entry, State, judge
from greencache.keys import Pattern
from greencache.tiers.inspection import HeldLease, Inspection
from greencache.tiers.sizing import Sizer, weigh
from greencache.typing import Key

__all__ = ["MemoryInspection"]


class MemoryInspection:
    """Reads the index and the leases of L1: no mark is set, no order changed, no lock taken.

    Args:
        index: The entries.
        leases: The number, and how many hold it, of each lease.
        sizer: Returns the bytes that a value takes.
        clock: Where the time comes from.
    """

    def __init__(
        self, index: Mapping[Key, Entry], leases: Mapping[Key, Sequence[int]], sizer: Sizer, clock: Clock
    ) -> None:
        self._index = index
        self._leases = leases
        self._sizer = sizer
        self._clock = clock

    def scan_keys(self, pattern: Pattern) -> Iterator[Sequence[Key]]:
        """Yield the keys of entries that match, all at once."""
        now = self._clock.now()
        # Copied in one atomic step, since others store and remove meanwhile.
        present = list(self._index.items())
        yield [key for key, entry in present if pattern.matches(key) and judge(entry, now) is not State.GONE]

    def inspect_many(self, keys: Iterable[Key]) -> dict[Key, Inspection]:
        """Return what is there of each key."""
        return {key: self._inspect(key) for key in keys}

    def _inspect(self, key: Key) -> Inspection:
        entry, lease = self._index.get(key), self._leases.get(key)
        size = None if entry is None else weigh(key, entry.kept, self._sizer)
        held = None if lease is None else HeldLease(holders=lease[1])
        return Inspection(entry=entry, size=size, lease=held)
