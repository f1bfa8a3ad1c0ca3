"""What orders made of queues share: keys and what they weigh, first in first out."""

from collections import deque
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, Final

from greencache.policies.order import MOST_MARKS, Marked

__all__ = ["KeyQueue", "Keys", "QueuedOrder"]

_FEW: Final = 64


class Keys:
    """Some keys of an order, and what they weigh."""

    def __init__(self) -> None:
        self.weights: dict[Hashable, float] = {}
        self.size: float = 0
        """What they weigh together."""

    def discard(self, key: Hashable) -> float | None:
        """Take a key out, and return what it weighs; `None` if it is not there."""
        weight = self.weights.pop(key, None)
        if weight is not None:
            self.size -= weight
        return weight


class KeyQueue(Keys):
    """Keys in the order in which they came, any of which may be taken out.

    Taking a key out of the middle would take a linked list, which is twice as slow and several times as large
    as a deque. So it leaves its place behind, dead. Should the key come back before that has come to the
    front, its living place is behind the dead ones: how many of its places are dead is all there is to know.
    """

    def __init__(self) -> None:
        super().__init__()
        self.places: deque[Hashable] = deque()
        self.dead: dict[Hashable, int] = {}
        """How many places of a key, the first ones, are dead; without the keys that have none."""

    def append(self, key: Hashable, weight: float) -> None:
        """Take in a key that is not there, as the newest."""
        self.places.append(key)
        self.weights[key] = weight
        self.size += weight

    def oldest(self) -> Hashable:
        """Return the oldest key of a queue that is not empty."""
        places = self.places
        if self.dead:
            while (count := self.dead.get(places[0])) is not None:
                self._note_dead(places.popleft(), count - 1)
        return places[0]

    def turn(self) -> None:
        """Make the oldest key, which `oldest` has just returned, the newest."""
        self.places.rotate(-1)

    def popleft(self) -> float:
        """Take out the oldest key, which `oldest` has just returned, and return what it weighs."""
        weight = self.weights.pop(self.places.popleft())
        self.size -= weight
        return weight

    def discard(self, key: Hashable) -> float | None:
        """Take a key out, and return what it weighs; `None` if it is not there."""
        weight = super().discard(key)
        if weight is not None:
            self._note_dead(key, self.dead.get(key, 0) + 1)
            if len(self.places) > 2 * len(self.weights) + _FEW:
                self._bury()
        return weight

    def _note_dead(self, key: Hashable, count: int) -> None:
        if count:
            self.dead[key] = count
        else:
            del self.dead[key]

    def _bury(self) -> None:
        """Take out the dead places, once for as many discards as there are keys: constant work."""
        places, self.places = self.places, deque()
        for key in places:
            count = self.dead.get(key)
            if count is None:
                self.places.append(key)
            else:
                self._note_dead(key, count - 1)


class QueuedOrder:
    """The books of an order: which keys it has, where, and what they weigh.

    Args:
        items: What the cache holds by key; the order only looks at the marks of its own keys.
        parts: Where keys can be, each key in one.
    """

    def __init__(self, items: Mapping[Any, Marked], *parts: Keys) -> None:
        self._items = items
        self._parts = parts
        self.currsize: float = 0
        """What all keys weigh together: the sum of the parts, kept since each store asks for it."""

    def __contains__(self, key: object) -> bool:
        return any(key in part.weights for part in self._parts)

    def __iter__(self) -> Iterator[Hashable]:
        for part in self._parts:
            yield from part.weights

    def __len__(self) -> int:
        return sum([len(part.weights) for part in self._parts])

    def add(self, key: Hashable, item: Marked, weight: float) -> None:
        """Take a key in; see `Order.add`."""
        if key not in self._items or not self._renew(key, item, weight):
            self._enter(key, item, weight)
            self.currsize += weight

    def weight_of(self, key: Hashable) -> float:
        """Return what a key weighs; 0 if it is not there."""
        for part in self._parts:
            weight = part.weights.get(key)
            if weight is not None:
                return weight
        return 0

    def discard(self, key: Hashable) -> bool:
        """Forget a key that the cache removes, and return whether it was there."""
        for part in self._parts:
            weight = part.discard(key)
            if weight is not None:
                self.currsize -= weight
                return True
        return False

    def resize(self, maxsize: float) -> None:
        """Change what all keys may weigh together: nothing to an order that has no parts."""

    def _enter(self, key: Hashable, item: Marked, weight: float) -> None:
        """Take in a key that is not there."""
        raise NotImplementedError

    def _renew(self, key: Hashable, item: Marked, weight: float) -> bool:
        """Note that a key gets another item, if it is there: the new one inherits the marks.

        Writing it counts as a hit.
        """
        for part in self._parts:
            known = part.weights.get(key)
            if known is not None:
                item.marked = min(self._items[key].marked + 1, MOST_MARKS)
                part.weights[key] = weight
                part.size += weight - known
                self.currsize += weight - known
                return True
        return False
