"""Keys of a sample, as the orders see them that take part in a duel."""

from collections.abc import Callable, Hashable

from greencache.policies.order import Marked

__all__ = ["Sample", "Tag"]


class Tag:
    """A sampled key as a contender knows it. Reading its marks first fetches the hits on the real entry."""

    __slots__ = ("_own", "_sample", "seen")

    def __init__(self, sample: "Sample") -> None:
        self._sample = sample
        self._own = 0
        self.seen = 0
        """How many marks of the real entry this contender has been told of."""

    @property
    def marked(self) -> int:
        """Hits as this contender would have counted them."""
        entry = self._sample.entry
        if entry is not None:
            found = entry.marked
            if found != self.seen:
                self._own += max(0, found - self.seen)
                self.seen = found
        return self._own

    @marked.setter
    def marked(self, count: int) -> None:
        self._own = count


class Sample:
    """A sampled key. To the real order it is the entry: before that changes the marks, contenders are told.

    Args:
        key: The key.
        contenders: How many tags it gets.
        observe: Called before the marks change.
    """

    __slots__ = ("_observe", "entry", "holders", "key", "tags", "weight")

    def __init__(self, key: Hashable, contenders: int, observe: Callable[["Sample"], None]) -> None:
        self.key = key
        self.entry: Marked | None = None
        """What the cache holds; `None` while it holds nothing under this key."""
        self.holders = 0
        """How many hold the key: the cache and the contenders."""
        self.weight: float = 0
        self.tags = [Tag(self) for _ in range(contenders)]
        self._observe = observe

    @property
    def marked(self) -> int:
        """The marks on the real entry; 0 without one."""
        entry = self.entry
        return 0 if entry is None else entry.marked

    @marked.setter
    def marked(self, count: int) -> None:
        self._observe(self)
        if self.entry is not None:
            self.entry.marked = count
        for tag in self.tags:
            tag.seen = count
