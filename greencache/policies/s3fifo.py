"""S3-FIFO."""

import math
from collections import OrderedDict, deque
from collections.abc import Hashable, Iterable
from typing import Final

from greencache.policies.order import MOST_MARKS, Marked, Slot
from greencache.policies.slots import DEAD, SlottedOrder

__all__ = ["S3FIFOOrder"]

_SMALL: Final = 0
_MAIN: Final = 1


class S3FIFOOrder(SlottedOrder):
    """A small queue, a main queue, and a ghost queue of keys that are remembered without their values.

    New keys enter the small queue, and leave it soon: those with two marks into the main queue, the others
    for good. A key that comes back while its ghost is remembered enters the main queue, in which each mark is
    worth another round.

    Yang et al., "FIFO Queues are All You Need for Cache Eviction", SOSP 2023. As in its authors' simulator,
    keys enter the main queue while the small one is full and nothing was evicted yet.

    Args:
        maxsize: What all keys may weigh together.
        small: Part of it that the small queue gets. With 0 there is none: what remains is CLOCK with two-bit
            marks, which is close to LRU.
        ghost: What remembered keys may weigh, as part of `maxsize`.
        promote_at: How many marks it takes to go from the small queue to the main one.
    """

    def __init__(
        self, maxsize: float, *, small: float = 0.1, ghost: float = 0.9, promote_at: int = 2
    ) -> None:
        super().__init__(homes=2)
        self._small: deque[Slot] = deque()
        self._main: deque[Slot] = deque()
        self._ghosts: OrderedDict[Hashable, float] = OrderedDict()
        self._ghosts_size: float = 0
        self._has_evicted = False
        self._maxsize = maxsize
        self.tune(small, promote_at, ghost)

    def tune(self, small: float, promote_at: int, ghost: float) -> None:
        """Change the parts and the threshold; the next evictions bring the queues there."""
        self._ghost = ghost
        self._ghosts_maxsize = _part(self._maxsize, ghost)
        self._small_part = small
        self._small_size = _part(self._maxsize, small)
        self._main_size = self._maxsize - self._small_size if self._small_size else self._maxsize
        self._promote_at = promote_at

    def resize(self, maxsize: float) -> None:
        """Change what all keys may weigh together; see `Order.resize`."""
        self._maxsize = maxsize
        self.tune(self._small_part, self._promote_at, self._ghost)

    def add(self, key: Hashable, item: Marked, weight: float) -> None:
        """Take a key in; see `Order.add`."""
        slot = self._slots.get(key)
        if slot is not None:
            self._update(slot, item, weight)
            return
        home = self._entrance(key)
        slot = self._enter(key, item, weight, home)
        (self._main if home else self._small).append(slot)

    def evict(self) -> Hashable:
        """Choose a key, forget it, and return it; see `Order.evict`."""
        self._has_evicted = True
        while self._slots:
            if self._sizes[_MAIN] > self._main_size or not self._small:
                victim = self._evict_from_main()
            else:
                victim = self._evict_from_small()
            if victim is not None:
                return self._forget(victim)
        raise KeyError("the order is empty")

    def forget_ghost(self, key: Hashable) -> bool:
        """Forget that a key was there once, and return whether that was remembered."""
        weight = self._ghosts.pop(key, None)
        if weight is None:
            return False
        self._ghosts_size -= weight
        return True

    def _entrance(self, key: Hashable) -> int:
        """Return the home of a new key."""
        is_remembered = self.forget_ghost(key)
        # Evictions add ghosts; only now, after this key's ghost was looked for, may the oldest be forgotten.
        while self._ghosts_size > self._ghosts_maxsize and self._ghosts:
            self._ghosts_size -= self._ghosts.popitem(last=False)[1]
        if is_remembered or not self._small_part:
            return _MAIN
        is_full = self._sizes[_SMALL] >= self._small_size
        return _MAIN if is_full and not self._has_evicted else _SMALL

    def _evict_from_small(self) -> Slot | None:
        small = self._small
        while small:
            slot = small.popleft()
            if slot.home == DEAD:
                self._dead -= 1
            elif slot.item.marked >= self._promote_at:
                slot.item.marked = 0
                slot.home = _MAIN
                self._sizes[_SMALL] -= slot.weight
                self._sizes[_MAIN] += slot.weight
                self._main.append(slot)
            else:
                self._ghosts[slot.key] = slot.weight
                self._ghosts_size += slot.weight
                return slot
        return None

    def _evict_from_main(self) -> Slot | None:
        main = self._main
        patience = MOST_MARKS * len(main)
        while main:
            slot = main.popleft()
            if slot.home == DEAD:
                self._dead -= 1
                continue
            marked = slot.item.marked
            # A round takes one mark away, so three end this, unless readers on other cores set marks as fast.
            if not marked or not patience:
                return slot
            slot.item.marked = min(marked, MOST_MARKS) - 1
            patience -= 1
            main.append(slot)
        return None

    def _queues(self) -> Iterable[deque[Slot]]:
        return (self._small, self._main)


def _part(maxsize: float, part: float) -> float:
    return math.floor(maxsize * part) if math.isfinite(maxsize) else maxsize
