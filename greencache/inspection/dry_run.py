"""How many entries an invalidation would remove, found out without removing any."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from greencache.entry import Entry, Stamps, State, judge
from greencache.inspection.stamps import CurrentStamps, find_current
from greencache.keys import Pattern
from greencache.stamps import NAMESPACE, StampTable
from greencache.tiers.base import Tier
from greencache.tiers.guarded import GuardedTier
from greencache.tiers.inspection import Inspection, examined
from greencache.tiers.memory import MemoryTier
from greencache.tiers.stack import Stack
from greencache.typing import MISSING, CacheTier, Key

__all__ = ["count_invalidated"]

_BATCH = 100
"""Entries that are decoded at once: few enough that large ones do not fill the memory."""
_EVERYTHING = Pattern("*")


def count_invalidated(
    stack: Stack,
    stamps: StampTable,
    keys: Sequence[Key],
    pattern: Pattern | None,
    tags: Sequence[str],
) -> dict[CacheTier, int]:
    """Return how many entries an invalidation would remove from each tier, each counted once.

    An entry under a tag whose stamps are outdated already is not counted for its tags: no reader has it. Nor
    is one that says that the key is missing.
    Entries of a view count where a drop would hide them. A tier that does not answer is left out.

    Args:
        stack: The tiers.
        stamps: The current stamps.
        keys: Keys to be forgotten.
        pattern: Keys to be forgotten by their text.
        tags: Tags to be invalidated; with these, all entries of all tiers are read, else those that match.
    """
    counts: dict[CacheTier, int] = {}
    silent: set[CacheTier] = set()
    current = find_current(stamps, [NAMESPACE, *tags]) if tags else CurrentStamps({}, "")
    for tier in stack.tiers:
        census = _Census(_itself(tier), stack.clock.now, current.by_tag, frozenset(tags))
        count, _ = examined(lambda census=census: census.count(keys, pattern))  # type: ignore[misc]
        if count is None:
            silent.add(tier.name)
        else:
            # A tier of several parts counts as one.
            counts[tier.name] = counts.get(tier.name, 0) + count
    return {name: count for name, count in counts.items() if name not in silent}


class _Census:
    """Counts the entries of one tier.

    Args:
        tier: The tier itself.
        now: Returns the seconds of the process's clock.
        current: The current stamps of the tags, as far as they are known.
        tags: Tags to be invalidated.
    """

    def __init__(
        self, tier: Tier, now: Callable[[], float], current: Mapping[str, str], tags: frozenset[str]
    ) -> None:
        self._tier = tier
        self._now = now
        self._current = current
        self._tags = tags

    def count(self, keys: Sequence[Key], pattern: Pattern | None) -> int:
        """Return how many entries have one of the keys, match the pattern, or are under a tag."""
        # Keys, not a number: a scan may find one twice.
        going = {key for key, _ in self._entries(keys)}
        if pattern is not None:
            for batch in self._tier.scan_keys(pattern):
                going.update(self._without_absences(batch))
        # Nothing in a view is under a tag.
        if self._tags and self._tier.writable:
            for batch in self._tier.scan_keys(_EVERYTHING):
                others = [key for key in batch if key not in going]
                going.update(key for key, entry in self._entries(others) if self._is_tagged(entry.stamps))
        return len(going)

    def _without_absences(self, keys: Sequence[Key]) -> Iterator[Key]:
        """Yield the keys of which it is not remembered that they are missing; what cannot be read counts."""
        for found in self._inspected(keys):
            yield from (key for key in found if not _is_absence(found[key].entry))

    def _entries(self, keys: Sequence[Key]) -> Iterator[tuple[Key, Entry]]:
        for found in self._inspected(keys):
            for key in found:
                entry = found[key].entry
                if entry is None or _is_absence(entry) or judge(entry, self._now()) is State.GONE:
                    continue
                yield key, entry

    def _inspected(self, keys: Sequence[Key]) -> Iterator[dict[Key, Inspection]]:
        for start in range(0, len(keys), _BATCH):
            batch = keys[start : start + _BATCH]
            there = self._tier.inspect_many(batch)
            yield {key: there.get(key) or Inspection() for key in batch}

    def _is_tagged(self, stamps: Stamps) -> bool:
        """Return whether stamps are of one of the tags, and none is known to be outdated."""
        is_outdated = any(self._current.get(tag, stamp) != stamp for tag, stamp in stamps)
        return not is_outdated and any(tag in self._tags for tag, _ in stamps)


def _is_absence(entry: Entry | None) -> bool:
    return entry is not None and entry.kept is MISSING


def _itself(tier: MemoryTier | GuardedTier) -> Tier:
    return tier.tier if isinstance(tier, GuardedTier) else tier
