"""Keys of a sample, as the orders see them that take part in a duel."""

from collections.abc import Hashable
from typing import Any

from greencache.policies.order import Marked
from greencache.policies.s3fifo import S3FIFOOrder

__all__ = ["Contender", "Sample", "Tag"]


class Tag:
    """A sampled key as a contender knows it. Reading its marks first fetches the hits on the real entry."""

    __slots__ = ("home", "own", "sample", "seen", "weight")
    weight: float
    home: Any  # both not there until a contender holds the key

    def __init__(self, sample: "Sample") -> None:
        self.sample = sample
        self.own = 0
        """Hits as this contender has counted them so far."""
        self.seen = 0
        """How many marks of the real entry this contender has been told of."""

    @property
    def marked(self) -> int:
        """Hits as this contender would have counted them."""
        entry = self.sample.entry
        if entry is not None and (found := entry.marked) != self.seen:
            if found > self.seen:
                self.own += found - self.seen
            self.seen = found
        return self.own

    @marked.setter
    def marked(self, count: int) -> None:
        self.own = count


class Sample:
    """A sampled key.

    Args:
        key: The key.
        contenders: How many tags it gets.
    """

    __slots__ = ("entry", "holders", "key", "tags", "weight")

    def __init__(self, key: Hashable, contenders: int) -> None:
        self.key = key
        self.entry: Marked | None = None
        """What the cache holds; `None` while it holds nothing under this key."""
        self.holders = 0
        """How many hold the key: the cache and the contenders."""
        self.weight: float = 0
        self.tags = [Tag(self) for _ in range(contenders)]

    def forget(self) -> None:
        """Let go of the tags, which nobody else holds: a cycle would wait for the garbage collector."""
        self.tags = []

    @property
    def marked(self) -> int:
        """The marks on the real entry; 0 without one."""
        entry = self.entry
        return 0 if entry is None else entry.marked


class Contender(S3FIFOOrder):
    """An order that takes part in a duel, with the tags of its keys.

    Args:
        maxsize: What all keys may weigh together.
        small: See `S3FIFOOrder`, as for the others.
        promote_at: See there.
        ghost: See there.
    """

    def __init__(self, maxsize: float, small: float, promote_at: int, ghost: float) -> None:
        self.tags: dict[Hashable, Tag] = {}
        super().__init__(maxsize, self.tags, small=small, promote_at=promote_at, ghost=ghost)

    def hold(self, tag: Tag) -> None:
        """Take in a key that is not there."""
        sample = tag.sample
        tag.weight = weight = sample.weight
        self.currsize += weight
        self._enter(sample.key, tag)
        self.tags[sample.key] = tag
