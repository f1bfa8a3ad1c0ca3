"""L1 of a cache, for those who look after it."""

from greencache.errors import InvalidArgumentError
from greencache.keys import check_key
from greencache.tiers.memory import MemoryTier
from greencache.tiers.memory_top import TopEntry, TopMeasure
from greencache.typing import Key

__all__ = ["L1"]


class L1:
    """What L1 holds, and what is to stay in it. All of it is in memory: nothing here waits for a server.

    Args:
        tier: The tier.
    """

    def __init__(self, tier: MemoryTier) -> None:
        self._tier = tier

    def pin(self, key: Key) -> bool:
        """Keep a key from being evicted: what is stored under it now, and later.

        Pinned entries expire and are invalidated as ever. They take half of L1 at most; one that has no room
        there is evicted as any other, until it is stored or pinned again when there is.

        Args:
            key: Up to 1 KiB of text; need not be there.

        Returns:
            Whether it is there and pinned now.

        Raises:
            InvalidArgumentError: If it cannot be a key, or if more than 10,000 keys are to be pinned.
        """
        return self._tier.pin(check_key(key))

    def unpin(self, key: Key) -> bool:
        """Let a key be evicted again, and return whether it was there and pinned."""
        return self._tier.unpin(check_key(key))

    @property
    def pins(self) -> dict[Key, bool]:
        """The keys that are to be pinned, and for each whether it is there and pinned."""
        return self._tier.pins()

    def top(self, n: int = 10, by: TopMeasure = "hits") -> list[TopEntry]:
        """Return the entries that are hit most, or take most, the first first; changes nothing.

        Hits are counted where that was asked for (`l1.count_hits` in the configuration, `count_hits` of
        `MemoryTier`), since it makes each hit slower. Else entries are told apart by up to 31 hits, those
        that the eviction policy has not looked at yet.

        Args:
            n: How many at most.
            by: "hits" or "bytes".

        Raises:
            InvalidArgumentError: If `n` is not positive, or `by` is neither.
        """
        if type(n) is not int or n < 1:
            raise InvalidArgumentError(f"n must be a number of entries, at least 1, got {n!r}")
        return self._tier.top(n, by)
