"""An L1 whose accesses are recorded."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from greencache.entry import Entry
from greencache.recording import AccessLog
from greencache.tiers.base import Lease
from greencache.tiers.memory import MemoryTier
from greencache.typing import Key, Seconds

__all__ = ["RecordedMemoryTier"]


class RecordedMemoryTier(MemoryTier):
    """Entries in this process's memory, and a trace of what is asked of them.

    It is a class apart, so that a hit of all others costs nothing for it.

    Args:
        accesses: Where accesses are recorded; closed with the tier.
        arguments: As of `MemoryTier`.
    """

    def __init__(self, *arguments: Any, accesses: AccessLog, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._accesses = accesses
        self.index = _RecordedIndex(self.index, accesses, self._clock.now)

    def note_look(self, keys: Iterable[Key], found: Mapping[Key, Entry]) -> None:
        """Record a look for keys past the index, of which some were found."""
        self._accesses.looked(keys, found)

    def fill_many(self, entries: Mapping[Key, Entry], leases: Mapping[Key, Lease]) -> set[Key]:
        """Store entries whose lease is still good; see `Tier`."""
        stored = super().fill_many(entries, leases)
        self._note_stored(entries)
        return stored

    def put_many(self, entries: Mapping[Key, Entry]) -> set[Key]:
        """Store entries whatever is there; see `Tier`."""
        stored = super().put_many(entries)
        self._note_stored(entries)
        return stored

    def close(self) -> None:
        """Let go of all entries, and write what is still to be recorded."""
        super().close()
        self._accesses.close()

    def _note_stored(self, entries: Mapping[Key, Entry]) -> None:
        # Those that L1 has refused, too: a larger one would have taken them.
        for key, entry in entries.items():
            self._accesses.stored(key, entry, self._weigh(key, entry))
        self._accesses.forget_all_but(self._entries.index)


class _RecordedIndex(Mapping[Key, Entry]):
    """An index that records each look that finds a fresh entry; what is done about others is told apart.

    Args:
        index: The entries by key.
        accesses: Where to record.
        now: Returns the time.
    """

    def __init__(self, index: Mapping[Key, Entry], accesses: AccessLog, now: Any) -> None:
        self._index = index
        self._accesses = accesses
        self._now = now

    def __getitem__(self, key: Key) -> Entry:
        entry = self._index[key]
        now: Seconds = self._now()
        if now < entry.due_at:
            self._accesses.hit(key)
        return entry

    def __iter__(self) -> Iterator[Key]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)
