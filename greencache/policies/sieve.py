"""SIEVE."""

from collections.abc import Hashable, Mapping
from typing import Any

from greencache.policies.order import Marked
from greencache.policies.queues import KeyQueue, QueuedOrder

__all__ = ["SieveOrder"]


class SieveOrder(QueuedOrder):
    """One queue and a hand that goes from its oldest key to its newest, again and again.

    The hand takes marks away and stops at the first key without one: that goes. Keys that it has passed stay
    where they are, unlike CLOCK's, so that new keys must prove themselves sooner than old ones.

    Zhang et al., "SIEVE is Simpler than LRU: an Efficient Turn-Key Eviction Algorithm for Web Caches",
    NSDI 2024.
    """

    def __init__(self, items: Mapping[Any, Marked]) -> None:
        # The hand is between the two: what it has passed, and what is still ahead, oldest keys first.
        self._passed = KeyQueue()
        self._ahead = KeyQueue()
        super().__init__(items, self._passed, self._ahead)

    def evict(self) -> Hashable:
        """Choose a key, forget it, and return it; see `Order.evict`."""
        patience = len(self)
        if not patience:
            raise KeyError("the order is empty")
        while True:
            self._turn()
            key = self._ahead.oldest()
            item = self._items[key]
            self._ahead.popleft(item)
            # Once around at most: readers on other cores may set marks as fast as this clears them.
            if not item.marked or not patience:
                item.home = None
                self.currsize -= item.weight
                return key
            item.marked = 0
            patience -= 1
            self._passed.append(key, item)

    def _enter(self, key: Hashable, item: Marked) -> None:
        self._turn()
        self._ahead.append(key, item)

    def _turn(self) -> None:
        """Bring the hand back to the oldest key when nothing is ahead of it."""
        if not self._ahead.count:
            self._ahead, self._passed = self._passed, self._ahead
