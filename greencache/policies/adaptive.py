"""The default: the way to evict that a sample of the keys does best with, at any time."""

import functools
from collections.abc import Hashable
from typing import Final

from greencache.policies.duel import Duel
from greencache.policies.order import Marked, Slot
from greencache.policies.s3fifo import S3FIFOOrder
from greencache.policies.sample import Sample

__all__ = ["WAYS", "AdaptiveOrder"]


WAYS: Final = (
    (0.0, 1, 0.9),  # two-bit CLOCK: close to LRU, for keys that come back soon; safe before anything is known
    (0.1, 2, 0.9),  # S3-FIFO as published: best, or nearly, for most requests
    (0.01, 2, 0.5),  # hardly a chance for new keys, for scans and loops larger than the cache
)
"""What a duel decides between: the small queue's part, how many marks it takes to leave it for the main one,
and the part that remembered keys may weigh. In a loop larger than the cache every key comes back while it is
remembered, and each would take the place of one that is worth as much: so the last remembers few."""


class AdaptiveOrder(S3FIFOOrder):
    """Queues of S3-FIFO whose small one is as large as the winner's of a `Duel`.

    S3-FIFO alone loses to LRU where keys come back a few times within a while and then never again, such as
    the blocks of conversations. A change of the winner moves no key: it changes where new ones enter.

    Args:
        maxsize: What all keys may weigh together.
    """

    def __init__(self, maxsize: float) -> None:
        ways = [
            functools.partial(S3FIFOOrder, small=small, promote_at=marks, ghost=ghost)
            for small, marks, ghost in WAYS
        ]
        self._duel = Duel(maxsize, [way(maxsize) for way in ways])
        self._way = self._duel.winner
        super().__init__(maxsize)
        self.tune(*WAYS[self._way])

    def add(self, key: Hashable, item: Marked, weight: float) -> None:
        """Take a key in; see `Order.add`."""
        if key not in self._slots and self._duel.is_sampled(key):
            item = self._duel.stored(key, item, weight)
            if self._way != self._duel.winner:
                self._way = self._duel.winner
                self.tune(*WAYS[self._way])
        super().add(key, item, weight)

    def evict(self) -> Hashable:
        """Choose a key, forget it, and return it; see `Order.evict`."""
        key = super().evict()
        self._duel.evicted(key)
        return key

    def discard(self, key: Hashable) -> None:
        """Forget a key that the cache removes; one that is not there is no error."""
        if key in self._slots:
            super().discard(key)
            self._duel.discarded(key)

    def resize(self, maxsize: float) -> None:
        """Change what all keys may weigh together; see `Order.resize`."""
        super().resize(maxsize)
        self._duel.resize(maxsize)

    def _update(self, slot: Slot, item: Marked, weight: float) -> None:
        known = slot.item
        super()._update(slot, item, weight)
        if isinstance(known, Sample):
            known.entry = item
            slot.item = known
