"""Which entries L1 is used for."""

import dataclasses
import heapq
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, TypeAlias

from greencache.entry import Entry, remaining
from greencache.errors import InvalidArgumentError
from greencache.tiers.memory_entries import MemoryEntries
from greencache.typing import Key, Seconds

__all__ = ["HitCounts", "TopEntry", "TopMeasure", "top_entries"]

TopMeasure: TypeAlias = Literal["hits", "bytes"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TopEntry:
    """An entry of L1, among those that are hit most or take most.

    Args:
        key: Its key.
        hits: How often its key was hit; forgotten some time after the key has left L1. If L1 does not count
            hits, those that the eviction policy has not looked at yet, up to 31: in an L1 that evicts, that
            tells what is read from what is not.
        size: About how many bytes it takes.
        fresh_for: Seconds for which it is fresh, negative if it is not; `None` for ever.
        is_pinned: Whether it is kept from being evicted.
    """

    key: Key
    hits: int
    size: int
    fresh_for: Seconds | None
    is_pinned: bool


class HitCounts(Mapping[Key, Entry]):
    """An index that counts how often each key is looked up and found.

    A count is one lookup and one store in a dict, each atomic: two threads that count a hit of one key at the
    same time may count one for two, as in a build without the interpreter lock any `+= 1`; nothing else can
    happen. Looks that find an entry which is no longer fresh count, too: the key was asked for.

    Args:
        index: The entries by key.
    """

    def __init__(self, index: Mapping[Key, Entry]) -> None:
        self._index = index
        self._counts: dict[Key, int] = {}

    def __getitem__(self, key: Key) -> Entry:
        entry = self._index[key]
        self._counts[key] = self._counts.get(key, 0) + 1
        return entry

    def __iter__(self) -> Iterator[Key]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def of(self, key: Key) -> int:
        """Return how often a key was hit."""
        return self._counts.get(key, 0)

    def forget_gone(self) -> None:
        """Forget the keys that are not there any more; the counts are as many as the entries again."""
        for key in list(self._counts):
            if key not in self._index:
                # Another thread may have forgotten it, too.
                self._counts.pop(key, None)


def top_entries(
    entries: MemoryEntries, counts: HitCounts | None, *, count: int, by: TopMeasure, now: Seconds
) -> list[TopEntry]:
    """Return the entries that are hit most, or take most, the first first.

    Args:
        entries: All of them. They are not locked: what is stored or removed meanwhile may be among them or
            not.
        counts: Knows how often each was hit, if anybody counts.
        count: How many at most.
        by: What they are compared by.
        now: Seconds of the clock that their times are in.

    Raises:
        InvalidArgumentError: If there is no such measure.
    """

    def hits_of(pair: tuple[Key, Entry]) -> int:
        return pair[1].marked if counts is None else counts.of(pair[0])

    def size_of(pair: tuple[Key, Entry]) -> int:
        return entries.weight_of(pair[0])

    measures: dict[str, Callable[[tuple[Key, Entry]], int]] = {"hits": hits_of, "bytes": size_of}
    if by not in measures:
        raise InvalidArgumentError(f"by must be one of {', '.join(measures)}, got {by!r}")
    # Copied in one atomic step.
    chosen = heapq.nlargest(count, list(entries.index.items()), key=measures[by])
    return [
        TopEntry(
            key=key,
            hits=hits_of((key, entry)),
            size=size_of((key, entry)),
            fresh_for=None if remaining(entry.fresh_until, now) is None else entry.fresh_until - now,
            is_pinned=key in entries.pins,
        )
        for key, entry in chosen
    ]
