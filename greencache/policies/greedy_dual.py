"""GreedyDual-Size-Frequency."""

import heapq
from collections.abc import Hashable
from typing import Final

from greencache.policies.order import Marked, Slot
from greencache.policies.slots import DEAD, SlottedOrder

__all__ = ["GreedyDualOrder"]

_LEAST_COST: Final = 1e-4
"""Seconds that a load is taken to cost at least, so that the others still differ by size and use."""


class GreedyDualOrder(SlottedOrder):
    """The key goes whose hits are worth least for the room they take: hits times cost of a load, by weight.

    An entry that takes a second to load is worth more than one that takes a millisecond, and ten small ones
    more than a large one. What was worth much once does not stay for ever: new keys start with what the last
    victim was worth. Hits are read off the marks when a key has become the least, which is where GDSF would
    have moved it up.

    Cherkasova, "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching Policy",
    HP Laboratories report HPL-98-69, 1998.

    Args:
        is_weighed: Whether costs and weights count; without them, frequency that ages remains.
    """

    def __init__(self, *, is_weighed: bool = True) -> None:
        super().__init__()
        self._is_weighed = is_weighed
        self._heap: list[tuple[float, int, Slot]] = []
        self._hits: dict[Hashable, int] = {}
        self._pushes = 0
        """Breaks ties: of two keys that are worth the same, the one that came first goes."""
        self._inflation = 0.0

    def add(self, key: Hashable, item: Marked, weight: float) -> None:
        """Take a key in; see `Order.add`. A load costs the `cost` of the item, in seconds."""
        slot = self._slots.get(key)
        if slot is not None:
            self._update(slot, item, weight)
            return
        slot = self._enter(key, item, weight)
        self._hits[key] = 1
        self._push(slot)

    def evict(self) -> Hashable:
        """Choose a key, forget it, and return it; see `Order.evict`."""
        patience = len(self._slots)
        while self._heap:
            worth, _, slot = heapq.heappop(self._heap)
            if slot.home == DEAD:
                self._dead -= 1
            elif slot.item.marked and patience:
                # Once for each key at most: readers on other cores may set marks as fast as this clears them.
                patience -= 1
                self._hits[slot.key] += slot.item.marked
                slot.item.marked = 0
                self._push(slot)
            else:
                self._inflation = worth
                del self._hits[slot.key]
                return self._forget(slot)
        raise KeyError("the order is empty")

    def discard(self, key: Hashable) -> None:
        """Forget a key that the cache removes; one that is not there is no error."""
        self._hits.pop(key, None)
        super().discard(key)

    def _push(self, slot: Slot) -> None:
        worth: float = self._hits[slot.key]
        if self._is_weighed:
            worth *= max(getattr(slot.item, "cost", 0.0), _LEAST_COST) / max(slot.weight, 1)
        self._pushes += 1
        heapq.heappush(self._heap, (self._inflation + worth, self._pushes, slot))

    def _bury(self) -> None:
        self._heap = [place for place in self._heap if place[2].home != DEAD]
        heapq.heapify(self._heap)
        self._dead = 0
