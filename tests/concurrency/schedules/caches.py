"""Scenes of whole caches of L1 alone."""

from greencache import MISSING, CacheManager
from greencache.testing import FakeClock

from .harness import Scene

KEY, TAG = "k", "t"


class LoadAndInvalidate(Scene):
    """Loads beside a change of the source, which is then invalidated and read."""

    threads = ("load", "change")
    cost = 4

    def __init__(self) -> None:
        super().__init__()
        self.cache = CacheManager(clock=FakeClock())
        self.version = 0
        self.acknowledged = 0
        self.loads: list[int] = []

    def read_source(self) -> int:
        """Return what the source has."""
        self.loads.append(1)
        return self.version

    def load(self, me: int) -> None:
        """Read, or load."""
        floor = self.acknowledged
        answer = self.cache.get_or_load(KEY, self.read_source, tags=[TAG])
        assert answer >= floor, f"got {answer} after {floor} was acknowledged"
        self.answers[me] = answer

    def change(self, me: int) -> None:
        """Change the source, forget, and read."""
        self.version = 1
        self.forget()
        self.acknowledged = 1
        self.load(me)

    def forget(self) -> None:
        """Forget the key."""
        self.cache.invalidate(KEY)

    def judge(self) -> None:
        """Nothing old is kept, and no flight is left."""
        assert self.cache.get(KEY, MISSING) in (MISSING, self.version)
        assert not self.cache._engine.reader.flights._flights, "a flight was left behind"


class LoadAndTag(LoadAndInvalidate):
    """The same with a tag."""

    def forget(self) -> None:
        """Forget what is under the tag."""
        self.cache.invalidate(tags=[TAG])


class OneLoad(LoadAndInvalidate):
    """Three that miss the same key."""

    threads = ("load", "load", "load")

    def judge(self) -> None:
        """One load."""
        super().judge()
        assert len(self.loads) == 1, f"{len(self.loads)} loads"


class CrossedBatches(LoadAndInvalidate):
    """Two batches that want the same keys, in two orders."""

    threads = ("forward", "backward")

    def load_all(self, keys: list[str]) -> dict[str, int]:
        """Return all."""
        self.loads.extend(1 for _ in keys)
        return dict.fromkeys(keys, 1)

    def forward(self, me: int) -> None:
        """Read in one order."""
        self.answers[me] = self.cache.get_or_load_many(["a", "b"], self.load_all)

    def backward(self, me: int) -> None:
        """Read in the other."""
        self.answers[me] = self.cache.get_or_load_many(["b", "a"], self.load_all)

    def judge(self) -> None:
        """Both have everything, loaded once."""
        super().judge()
        assert self.answers == [{"a": 1, "b": 1}] * 2, self.answers
        assert len(self.loads) == 2, f"{len(self.loads)} keys were loaded"
