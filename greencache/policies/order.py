"""What an eviction policy is to a cache: the order in which its entries go."""

from collections.abc import Hashable, Iterator
from typing import Any, Final, Protocol

__all__ = ["MIXER", "MOST_MARKS", "MOST_ROUNDS", "Mark", "Marked", "Order"]

MIXER: Final = 0x9E3779B97F4A7C15
"""2^64 divided by the golden ratio: times this, hashes of keys that are alike, such as numbers, differ in the
middle of their bits (Knuth, TAOCP 3, 6.4)."""

MOST_MARKS: Final = 31
"""Hits beyond this count are not marked, so that a hit on a popular entry writes nothing."""
MOST_ROUNDS: Final = 3
"""So many times a policy spares an entry, however many hits it has: more would keep what was popular once."""


class Marked(Protocol):
    """What a hit can mark.

    A hit takes no lock: `if entry.marked < MOST_MARKS: entry.marked += 1`. Two threads that do so at once may
    count one hit for two, and a policy that lowers the mark meanwhile may be overruled: an entry goes one
    round earlier or later, nothing else. Where they meet, a mark may pass the limit by as many threads; so
    policies read it with `min`. In free-threaded builds a slot is read and written atomically, too.
    """

    marked: int
    weight: float
    """How much of the cache's size it takes; nobody but the order changes it and the home."""
    home: Any
    """Where in the order it is; `None` if it is in none. An object can be in one order, under one key."""


class Mark:
    """A mark by itself, for a cache whose values have none."""

    __slots__ = ("home", "marked", "weight")

    def __init__(self) -> None:
        self.marked = 0
        self.weight: float = 0
        self.home: Any = None


class Order(Protocol):
    """The order in which entries go; whoever changes it holds the cache's lock.

    What hits mark is in a mapping of the cache, which is given to the order when it is made: the order never
    sees a hit, but reads the marks there when it looks for a victim, and keeps there what it knows of a key:
    an object for each key of its own would take as much memory again. So the cache puts an object in after
    its key was added, and takes it out after its key was evicted or discarded.
    A cache makes room by `evict`, removes for its own reasons by `discard`, then adds.
    """

    @property
    def currsize(self) -> float:
        """What all keys weigh together."""
        ...

    def add(self, key: Hashable, item: Marked, weight: float) -> None:
        """Take a key in. One that is there keeps its place and its marks, and counts as hit.

        Args:
            key: What `evict` will return one day.
            item: What hits mark, such as the entry; what the key had before is still in the mapping.
            weight: How much of the cache's size it takes.
        """
        ...

    def weight_of(self, key: Hashable) -> float:
        """Return what a key weighs; 0 if it is not there."""
        ...

    def discard(self, key: Hashable) -> bool:
        """Forget a key that the cache removes, and return whether it was there."""
        ...

    def resize(self, maxsize: float) -> None:
        """Change what all keys may weigh together; the next evictions bring the order there."""
        ...

    def evict(self) -> Hashable:
        """Choose the key that is worth least, forget it, and return it.

        Raises:
            KeyError: If there is none.
        """
        ...

    def __contains__(self, key: object) -> bool: ...

    def __iter__(self) -> Iterator[Hashable]: ...

    def __len__(self) -> int: ...
