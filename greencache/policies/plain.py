"""Orders that take no notice of hits."""

import random
from collections.abc import Hashable, Mapping
from typing import Any

from greencache.policies.order import Marked
from greencache.policies.queues import KeyQueue, Keys, QueuedOrder

__all__ = ["FIFOOrder", "RandomOrder"]


class FIFOOrder(QueuedOrder):
    """The key goes that came first."""

    def __init__(self, items: Mapping[Any, Marked]) -> None:
        self._queue = KeyQueue()
        super().__init__(items, self._queue)

    def evict(self) -> Hashable:
        """Choose a key, forget it, and return it; see `Order.evict`."""
        if not self._queue.weights:
            raise KeyError("the order is empty")
        key = self._queue.oldest()
        self.currsize -= self._queue.popleft()
        return key

    def _enter(self, key: Hashable, item: Marked, weight: float) -> None:  # noqa: ARG002 -- nothing to read
        self._queue.append(key, weight)


class _Urn(Keys):
    """Keys in no order."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[Hashable] = []
        """What is drawn from, without gaps."""
        self.places: dict[Hashable, int] = {}

    def add(self, key: Hashable, weight: float) -> None:
        """Take in a key that is not there."""
        self.places[key] = len(self.drawn)
        self.drawn.append(key)
        self.weights[key] = weight
        self.size += weight

    def discard(self, key: Hashable) -> float | None:
        """Take a key out, and return what it weighs; `None` if it is not there."""
        place = self.places.pop(key, None)
        if place is not None:
            # The last takes its place: taking it out of the middle would move all after it.
            last = self.drawn.pop()
            if last != key:
                self.drawn[place] = last
                self.places[last] = place
        return super().discard(key)


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

    def _enter(self, key: Hashable, item: Marked, weight: float) -> None:  # noqa: ARG002 -- nothing to read
        self._urn.add(key, weight)
