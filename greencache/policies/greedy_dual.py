"""GreedyDual-Size-Frequency."""

import heapq
import itertools
from collections.abc import Hashable, Mapping
from typing import Any, Final, TypeAlias

from greencache.policies.order import Marked
from greencache.policies.queues import Part, QueuedOrder

__all__ = ["GreedyDualOrder"]

_LEAST_COST: Final = 1e-4
"""Seconds that a load is taken to cost at least, so that the others still differ by size and use."""
_FEW: Final = 64

_Place: TypeAlias = list[Any]
"""What a key is worth, a number that tells equals apart, the key, and its hits; changed where it is."""
_WORTH, _NUMBER, _KEY, _HITS = range(4)


class _Nobody:
    """Stands in a place whose key was discarded: the class itself, which copies and pickles share."""


class _Heap(Part):
    """Keys by what they are worth. A discarded one leaves its place behind, dead."""

    def __init__(self) -> None:
        super().__init__()
        self.heap: list[_Place] = []
        self.places: dict[Hashable, _Place] = {}

    def remove(self, key: Hashable, item: Marked) -> None:
        """Take a key out that is there; see `note_gone`."""
        self.note_gone(item)
        self.places.pop(key)[_KEY] = _Nobody
        if len(self.heap) > 2 * self.count + _FEW:
            self.heap = [each for each in self.heap if each[_KEY] is not _Nobody]
            heapq.heapify(self.heap)


class GreedyDualOrder(QueuedOrder):
    """The key goes whose hits are worth least for the room they take: hits times cost of a load, by weight.

    An entry that takes a second to load is worth more than one that takes a millisecond, and ten small ones
    more than a large one. What was worth much once does not stay for ever: new keys start with what the last
    victim was worth. Hits are read off the marks when a key has become the least, which is where GDSF would
    have moved it up.

    Cherkasova, "Improving WWW Proxies Performance with Greedy-Dual-Size-Frequency Caching Policy",
    HP Laboratories report HPL-98-69, 1998.

    Args:
        items: What the cache holds by key.
        is_weighed: Whether costs and weights count; without them, frequency that ages remains.
    """

    def __init__(self, items: Mapping[Any, Marked], *, is_weighed: bool = True) -> None:
        self._heap = _Heap()
        super().__init__(items, self._heap)
        self._is_weighed = is_weighed
        self._numbers = itertools.count()
        """They break ties: of two keys that are worth the same, the one that came first goes."""
        self._inflation = 0.0

    def evict(self) -> Hashable:
        """Choose a key, forget it, and return it; see `Order.evict`."""
        heap = self._heap.heap
        patience = self._heap.count
        while heap:
            place = heapq.heappop(heap)
            key: Hashable = place[_KEY]
            if key is _Nobody:
                continue
            item = self._items[key]
            if item.marked and patience:
                # Once for each key at most: readers on other cores may set marks as fast as this clears them.
                patience -= 1
                place[_HITS] += item.marked
                item.marked = 0
                self._push(place, item)
            else:
                self._inflation = place[_WORTH]
                self.discard(key)
                return key
        raise KeyError("the order is empty")

    def _enter(self, key: Hashable, item: Marked) -> None:
        """Take in a key that is not there. A load costs the `cost` of the item, in seconds."""
        self._heap.note_new(item)
        self._heap.places[key] = place = [0.0, 0, key, 1]
        self._push(place, item)

    def _push(self, place: _Place, item: Marked) -> None:
        worth: float = place[_HITS]
        if self._is_weighed:
            worth *= max(getattr(item, "cost", 0.0), _LEAST_COST) / max(item.weight, 1)
        place[_WORTH] = self._inflation + worth
        place[_NUMBER] = next(self._numbers)
        heapq.heappush(self._heap.heap, place)
