"""The default: the way to evict that a sample of the keys does best with, at any time."""

from collections.abc import Hashable, Mapping
from typing import Any, Final

from greencache.policies.duel import Duel
from greencache.policies.order import Marked
from greencache.policies.s3fifo import S3FIFOOrder

__all__ = ["WAYS", "AdaptiveOrder"]


WAYS: Final = (
    (0.0, 1, 0.9),  # two-bit CLOCK: close to LRU, for keys that come back soon; safe before anything is known
    (0.1, 2, 0.9),  # S3-FIFO as published: best, or nearly, for most requests
    (0.01, 2, 0.5),  # hardly a chance for new keys, for scans and loops larger than the cache
    (0.1, 2, 3.0),  # a long memory, for keys that come back late if at all
)
"""What a duel decides between: the small queue's part, how many marks it takes to leave it for the main one,
and the part that remembered keys may weigh. In a loop larger than the cache every key comes back while it is
remembered, and each would take the place of one that is worth as much: so the third remembers few. Where
most keys come once, those that were there before are worth keeping, however long ago: so the last remembers
many."""


class AdaptiveOrder(S3FIFOOrder):
    """Queues of S3-FIFO whose small one is as large as the winner's of a `Duel`.

    S3-FIFO alone loses to LRU where keys come back a few times within a while and then never again, such as
    the blocks of conversations. A change of the winner moves no key: it changes where new ones enter.

    Args:
        maxsize: What all keys may weigh together.
        items: What the cache holds by key.
    """

    def __init__(self, maxsize: float, items: Mapping[Any, Marked]) -> None:
        self._duel = Duel(maxsize, WAYS)
        self._way = self._duel.winner
        super().__init__(maxsize, items)
        self.tune(*WAYS[self._way])

    def evict(self) -> Hashable:
        """Choose a key, forget it, and return it; see `Order.evict`."""
        key = super().evict()
        self._duel.evicted(key)
        return key

    def discard(self, key: Hashable) -> bool:
        """Forget a key that the cache removes, and return whether it was there."""
        was_there = super().discard(key)
        if was_there:
            self._duel.discarded(key)
        return was_there

    def resize(self, maxsize: float) -> None:
        """Change what all keys may weigh together; see `Order.resize`."""
        super().resize(maxsize)
        self._duel.resize(maxsize)

    def _enter(self, key: Hashable, item: Marked) -> None:
        if self._duel.is_sampled(key):
            self._duel.stored(key, item)
            if self._way != self._duel.winner:
                self._way = self._duel.winner
                self.tune(*WAYS[self._way])
        super()._enter(key, item)

    def _renew(self, key: Hashable, known: Marked, item: Marked, weight: float) -> None:
        super()._renew(key, known, item, weight)
        self._duel.renewed(key, item)

    def _set_marks(self, key: Hashable, item: Marked, count: int) -> None:
        self._duel.marks_change(key, count)
        super()._set_marks(key, item, count)
