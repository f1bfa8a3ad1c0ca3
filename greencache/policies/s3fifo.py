"""S3-FIFO."""

import math
from collections.abc import Hashable, Mapping
from typing import Any

from greencache.policies.ghosts import GhostQueue, Ghosts, GhostTable
from greencache.policies.order import MOST_ROUNDS, Marked
from greencache.policies.queues import KeyQueue, QueuedOrder

__all__ = ["S3FIFOOrder"]


class S3FIFOOrder(QueuedOrder):
    """A small queue, a main queue, and a ghost queue of keys that are remembered without their values.

    New keys enter the small queue, and leave it soon: those with two marks into the main queue, the others
    for good. A key that comes back while its ghost is remembered enters the main queue, in which each mark is
    worth another round.

    Yang et al., "FIFO Queues are All You Need for Cache Eviction", SOSP 2023. As in its authors' simulator,
    keys enter the main queue while the small one is full and nothing was evicted yet.

    Args:
        maxsize: What all keys may weigh together.
        items: What the cache holds by key.
        small: Part of it that the small queue gets. With 0 there is none: what remains is CLOCK with two-bit
            marks, which is close to LRU.
        ghost: What remembered keys may weigh, as part of `maxsize`. Above 1, fingerprints are kept.
        promote_at: How many marks it takes to go from the small queue to the main one.
    """

    def __init__(
        self,
        maxsize: float,
        items: Mapping[Any, Marked],
        *,
        small: float = 0.1,
        ghost: float = 0.9,
        promote_at: int = 2,
    ) -> None:
        self._small = KeyQueue()
        self._main = KeyQueue()
        super().__init__(items, self._small, self._main)
        self._ghosts: Ghosts = GhostQueue(0)
        self._has_evicted = False
        self._maxsize = maxsize
        self.tune(small, promote_at, ghost)

    def tune(self, small: float, promote_at: int, ghost: float) -> None:
        """Change the parts and the threshold; the next evictions bring the queues there."""
        self._ghost = ghost
        self._remember(_part(self._maxsize, ghost), GhostQueue if ghost <= 1 else GhostTable)
        self._small_part = small
        self._small_size = _part(self._maxsize, small)
        self._main_size = self._maxsize - self._small_size if self._small_size else self._maxsize
        self._promote_at = promote_at

    def resize(self, maxsize: float) -> None:
        """Change what all keys may weigh together; see `Order.resize`."""
        self._maxsize = maxsize
        self.tune(self._small_part, self._promote_at, self._ghost)

    def evict(self) -> Hashable:
        """Choose a key, forget it, and return it; see `Order.evict`."""
        self._has_evicted = True
        small, main = self._small, self._main
        while main.count or small.count:
            if main.size > self._main_size or not small.count:
                key = self._oldest_unmarked()
                return self._let_go(key, main)
            while small.count:
                key = small.oldest()
                item = self._items[key]
                if item.marked < self._promote_at:
                    self._ghosts.remember(key, item.weight)
                    return self._let_go(key, small)
                small.popleft(item)
                self._set_marks(key, item, 0)
                main.append(key, item)
        raise KeyError("the order is empty")

    def _let_go(self, key: Hashable, queue: KeyQueue) -> Hashable:
        item = self._items[key]
        queue.popleft(item)
        item.home = None
        self.currsize -= item.weight
        return key

    def _enter(self, key: Hashable, item: Marked) -> None:
        is_remembered = self._ghosts.recall(key)
        is_full = not self._has_evicted and self._small.size >= self._small_size
        is_main = is_remembered or is_full or not self._small_part
        (self._main if is_main else self._small).append(key, item)

    def _remember(self, size: float, kind: type[GhostQueue | GhostTable]) -> None:
        if isinstance(self._ghosts, kind):
            self._ghosts.resize(size)
        else:
            self._ghosts = kind(size)

    def _oldest_unmarked(self) -> Hashable:
        """Bring a key without marks to the front of the main queue, which is not empty, and return it."""
        main, items = self._main, self._items
        patience = MOST_ROUNDS * main.count
        while True:
            key = main.oldest()
            item = items[key]
            marked = item.marked
            # A round takes one mark away, so three end this, unless readers on other cores set marks as fast.
            if not marked or not patience:
                return key
            self._set_marks(key, item, min(marked, MOST_ROUNDS) - 1)
            patience -= 1
            main.turn()

    def _set_marks(self, key: Hashable, item: Marked, count: int) -> None:  # noqa: ARG002 -- for a duel
        """Set the marks of a key after they were looked at."""
        item.marked = count


def _part(maxsize: float, part: float) -> float:
    return math.floor(maxsize * part) if math.isfinite(maxsize) else maxsize
