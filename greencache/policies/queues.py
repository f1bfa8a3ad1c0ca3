"""What orders made of queues share: keys, first in first out, and the books of what they weigh."""

from collections import deque
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, Final

from greencache.policies.order import MOST_MARKS, Marked

__all__ = ["KeyQueue", "Part", "QueuedOrder"]

_FEW: Final = 64


class Part:
    """A part of an order that keys can be in: the `home` of their items, which know what they weigh."""

    def __init__(self) -> None:
        self.count = 0
        self.size: float = 0
        """What its keys weigh together."""

    def note_new(self, item: Marked) -> None:
        """Enter an item in the books."""
        item.home = self
        self.count += 1
        self.size += item.weight

    def note_gone(self, item: Marked) -> None:
        """Take an item out of the books; whoever calls this gives it another home."""
        self.count -= 1
        self.size -= item.weight

    def remove(self, key: Hashable, item: Marked) -> None:
        """Take a key out that is there."""
        raise NotImplementedError


class KeyQueue(Part):
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

    def append(self, key: Hashable, item: Marked) -> None:
        """Take in a key that is not there, as the newest."""
        self.places.append(key)
        item.home = self
        self.count += 1
        self.size += item.weight

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

    def popleft(self, item: Marked) -> None:
        """Take out the oldest key, which `oldest` has just returned; see `note_gone`."""
        self.places.popleft()
        self.count -= 1
        self.size -= item.weight

    def remove(self, key: Hashable, item: Marked) -> None:
        """Take a key out that is there; see `note_gone`."""
        self.note_gone(item)
        self._note_dead(key, self.dead.get(key, 0) + 1)
        if len(self.places) > 2 * self.count + _FEW:
            self._bury()

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
        items: What the cache holds by key; see `Order`.
        parts: Where keys can be, each key in one.
    """

    def __init__(self, items: Mapping[Any, Marked], *parts: Part) -> None:
        self._items = items
        self._parts = parts
        self.currsize: float = 0
        """What all keys weigh together: the sum of the parts, kept since each store asks for it."""

    def __contains__(self, key: object) -> bool:
        item = self._items.get(key)
        return item is not None and item.home is not None

    def __iter__(self) -> Iterator[Hashable]:
        return (key for key, item in self._items.items() if item.home is not None)

    def __len__(self) -> int:
        return sum([part.count for part in self._parts])

    def add(self, key: Hashable, item: Marked, weight: float) -> None:
        """Take a key in; see `Order.add`."""
        known = self._items.get(key)
        if known is not None and known.home is not None:
            self._renew(key, known, item, weight)
        else:
            item.weight = weight
            self.currsize += weight
            self._enter(key, item)

    def weight_of(self, key: Hashable) -> float:
        """Return what a key weighs; 0 if it is not there."""
        item = self._items.get(key)
        return 0 if item is None or item.home is None else item.weight

    def discard(self, key: Hashable) -> bool:
        """Forget a key that the cache removes, and return whether it was there."""
        item = self._items.get(key)
        if item is None or item.home is None:
            return False
        item.home.remove(key, item)
        item.home = None
        self.currsize -= item.weight
        return True

    def resize(self, maxsize: float) -> None:
        """Change what all keys may weigh together: nothing to an order that has no parts."""

    def _enter(self, key: Hashable, item: Marked) -> None:
        """Take in a key that is not there."""
        raise NotImplementedError

    def _renew(self, key: Hashable, known: Marked, item: Marked, weight: float) -> None:  # noqa: ARG002
        """Give a key that is there another item, which takes the place and inherits the marks.

        Writing it counts as a hit.
        """
        home, growth = known.home, weight - known.weight
        marked = min(known.marked + 1, MOST_MARKS)
        known.home = None
        item.marked, item.weight, item.home = marked, weight, home
        home.size += growth
        self.currsize += growth
