"""What orders made of queues share: slots by key, and queues in which a slot may be dead."""

from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from typing import Final

from greencache.policies.order import MOST_MARKS, Mark, Marked, Slot

__all__ = ["DEAD", "SlottedOrder"]

DEAD: Final = -1
"""The home of a slot whose key was discarded. It stays in its queue until it comes to the front: taking it
out of the middle would take a linked list, which is twice as slow and three times as large."""

_NOBODY: Final = Mark()
_FEW: Final = 64


class SlottedOrder:
    """The books of an order: which keys it has, and what they weigh.

    Args:
        homes: How many kinds of places a slot can be in; each has its own sum of weights.
    """

    def __init__(self, homes: int = 1) -> None:
        self._slots: dict[Hashable, Slot] = {}
        self._sizes: list[float] = [0] * homes
        self.currsize: float = 0
        """What all keys weigh together: the sum of the sizes, kept since each store asks for it."""
        self._dead = 0

    def __contains__(self, key: object) -> bool:
        return key in self._slots

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._slots)

    def __len__(self) -> int:
        return len(self._slots)

    def weight_of(self, key: Hashable) -> float:
        """Return what a key weighs; 0 if it is not there."""
        slot = self._slots.get(key)
        return 0 if slot is None else slot.weight

    def discard(self, key: Hashable) -> None:
        """Forget a key that the cache removes; one that is not there is no error."""
        slot = self._slots.pop(key, None)
        if slot is None:
            return
        self._sizes[slot.home] -= slot.weight
        self.currsize -= slot.weight
        slot.home = DEAD
        slot.item = _NOBODY  # the entry must not live as long as its slot
        self._dead += 1
        if self._dead > len(self._slots) + _FEW:
            self._bury()

    def resize(self, maxsize: float) -> None:
        """Change what all keys may weigh together: nothing to an order that has no parts."""

    def _enter(self, key: Hashable, item: Marked, weight: float, home: int = 0) -> Slot:
        """Enter a new key in the books, and return its slot, which is to be put into a queue."""
        self._slots[key] = slot = Slot(key, item, weight, home)
        self._sizes[home] += weight
        self.currsize += weight
        return slot

    def _update(self, slot: Slot, item: Marked, weight: float) -> None:
        """Give a slot another item: the new one inherits the marks, and writing it counts as a hit."""
        item.marked = min(slot.item.marked + 1, MOST_MARKS)
        slot.item = item
        self._sizes[slot.home] += weight - slot.weight
        self.currsize += weight - slot.weight
        slot.weight = weight

    def _forget(self, slot: Slot) -> Hashable:
        """Take the books of a slot away that was taken out of its queue."""
        del self._slots[slot.key]
        self._sizes[slot.home] -= slot.weight
        self.currsize -= slot.weight
        return slot.key

    def _bury(self) -> None:
        """Take dead slots out of the queues, once for as many discards as there are keys: constant work."""
        for queue in self._queues():
            living = [slot for slot in queue if slot.home != DEAD]
            queue.clear()
            queue.extend(living)
        self._dead = 0

    def _queues(self) -> Iterable[deque[Slot]]:
        return ()
