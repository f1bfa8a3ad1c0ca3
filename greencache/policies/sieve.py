"""SIEVE."""

from collections import deque
from collections.abc import Hashable, Iterable

from greencache.policies.order import Marked, Slot
from greencache.policies.slots import DEAD, SlottedOrder

__all__ = ["SieveOrder"]


class SieveOrder(SlottedOrder):
    """One queue and a hand that goes from its oldest key to its newest, again and again.

    The hand takes marks away and stops at the first key without one: that goes. Keys that it has passed stay
    where they are, unlike CLOCK's, so that new keys must prove themselves sooner than old ones.

    Zhang et al., "SIEVE is Simpler than LRU: an Efficient Turn-Key Eviction Algorithm for Web Caches",
    NSDI 2024.
    """

    def __init__(self) -> None:
        super().__init__()
        # The hand is between the two: what it has passed, and what is still ahead, oldest keys first.
        self._passed: deque[Slot] = deque()
        self._ahead: deque[Slot] = deque()

    def add(self, key: Hashable, item: Marked, weight: float) -> None:
        """Take a key in; see `Order.add`."""
        slot = self._slots.get(key)
        if slot is not None:
            self._update(slot, item, weight)
            return
        self._turn()
        slot = self._enter(key, item, weight)
        self._ahead.append(slot)

    def evict(self) -> Hashable:
        """Choose a key, forget it, and return it; see `Order.evict`."""
        if not self._slots:
            raise KeyError("the order is empty")
        patience = len(self._slots)
        while True:
            self._turn()
            slot = self._ahead.popleft()
            # Once around at most: readers on other cores may set marks as fast as this clears them.
            if not slot.item.marked or not patience:
                return self._forget(slot)
            slot.item.marked = 0
            patience -= 1
            self._passed.append(slot)

    def _turn(self) -> None:
        """Bring the hand back to the oldest key when nothing living is ahead of it."""
        for _ in range(2):
            while self._ahead and self._ahead[0].home == DEAD:
                self._ahead.popleft()
                self._dead -= 1
            if self._ahead:
                return
            self._ahead, self._passed = self._passed, self._ahead

    def _queues(self) -> Iterable[deque[Slot]]:
        return (self._passed, self._ahead)
