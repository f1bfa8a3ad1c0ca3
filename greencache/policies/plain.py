"""Orders that take no notice of hits."""

import random
from collections import deque
from collections.abc import Hashable, Iterable

from greencache.policies.order import Marked, Slot
from greencache.policies.slots import DEAD, SlottedOrder

__all__ = ["FIFOOrder", "RandomOrder"]


class FIFOOrder(SlottedOrder):
    """The key goes that came first."""

    def __init__(self) -> None:
        super().__init__()
        self._queue: deque[Slot] = deque()

    def add(self, key: Hashable, item: Marked, weight: float) -> None:
        """Take a key in; see `Order.add`."""
        slot = self._slots.get(key)
        if slot is not None:
            self._update(slot, item, weight)
            return
        slot = self._enter(key, item, weight)
        self._queue.append(slot)

    def evict(self) -> Hashable:
        """Choose a key, forget it, and return it; see `Order.evict`."""
        while self._slots:
            slot = self._queue.popleft()
            if slot.home != DEAD:
                return self._forget(slot)
            self._dead -= 1
        raise KeyError("the order is empty")

    def _queues(self) -> Iterable[deque[Slot]]:
        return (self._queue,)


class RandomOrder(FIFOOrder):
    """Any key goes, each with the same probability."""

    def evict(self) -> Hashable:
        """Choose a key, forget it, and return it; see `Order.evict`."""
        while self._slots:
            # The victim changes places with the last: taking it out of the middle would move all after it.
            place = random.randrange(len(self._queue))  # noqa: S311 -- chance, not secrecy
            slot, self._queue[place] = self._queue[place], self._queue[-1]
            self._queue.pop()
            if slot.home != DEAD:
                return self._forget(slot)
            self._dead -= 1
        raise KeyError("the order is empty")
