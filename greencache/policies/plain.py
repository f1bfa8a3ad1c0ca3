"""Orders that take no notice of hits."""

import random
from collections.abc import Hashable, Mapping
from typing import Any

from greencache.policies.order import Marked
from greencache.policies.queues import KeyQueue, Part, QueuedOrder

__all__ = ["FIFOOrder", "RandomOrder"]


class FIFOOrder(QueuedOrder):
    """The key goes that came first."""

    def __init__(self, items: Mapping[Any, Marked]) -> None:
        self._queue = KeyQueue()
        super().__init__(items, self._queue)

    def evict(self) -> Hashable:
        """Choose a key, forget it, and return it; see `Order.evict`."""
        if not self._queue.count:
            raise KeyError("the order is empty")
        key = self._queue.oldest()
        item = self._items[key]
        self._queue.popleft(item)
        item.home = None
        self.currsize -= item.weight
        return key

    def _enter(self, key: Hashable, item: Marked) -> None:
        self._queue.append(key, item)


class _Urn(Part):
    """Keys in no order."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[Hashable] = []
        """What is drawn from, without gaps."""
        self.places: dict[Hashable, int] = {}

    def add(self, key: Hashable, item: Marked) -> None:
        """Take in a key that is not there."""
        self.places[key] = len(self.drawn)
        self.drawn.append(key)
        self.note_new(item)

    def remove(self, key: Hashable, item: Marked) -> None:
        """Take a key out that is there; see `note_gone`."""
        self.note_gone(item)
        place = self.places.pop(key)
        # The last takes its place: taking it out of the middle would move all after it.
        last = self.drawn.pop()
        if place < len(self.drawn):
            self.drawn[place] = last
            self.places[last] = place


class RandomOrder(QueuedOrder):
    """Any key goes, each with the same probability."""

    def __init__(self, items: Mapping[Any, Marked]) -> None:
        self._urn = _Urn()
        super().__init__(items, self._urn)

    def evict(self) -> Hashable:
        """Choose a key, forget it, and return it; see `Order.evict`."""
        if not self._urn.drawn:
            raise KeyError("the order is empty")
        key = random.choice(self._urn.drawn)  # noqa: S311 -- chance, not secrecy
        self.discard(key)
        return key

    def _enter(self, key: Hashable, item: Marked) -> None:
        self._urn.add(key, item)
