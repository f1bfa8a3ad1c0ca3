"""Scenes of L1: what is stored is never older than a drop, and its books agree."""

import math

from greencache.entry import Entry
from greencache.keys import Pattern
from greencache.testing import FakeClock
from greencache.tiers.memory import MemoryTier

from .harness import Scene

KEY, TAG = "k", "t"


def require_agreeing_books(memory: MemoryTier) -> None:
    """Raise `AssertionError` unless index, order, sizes and tags say the same, and no lease is left."""
    index, order = memory._entries.index, memory._entries.order
    assert set(index) == set(order), f"the index has {set(index)}, the order {set(order)}"
    weights = {key: memory._weigh(key, entry) for key, entry in index.items()}
    assert {key: order.weight_of(key) for key in order} == weights, "the order has other weights"
    assert order.currsize == sum(weights.values()), f"{order.currsize} bytes counted, {weights} there"
    tagged: dict[str, set[str]] = {}
    for key, entry in index.items():
        for tag in entry.tags:
            tagged.setdefault(tag, set()).add(key)
    found = memory._entries.tagged
    assert found == tagged, f"the index of tags has {found}, expected {tagged}"
    assert not memory._leases, f"leases were left: {memory._leases}"


class FillAndDrop(Scene):
    """Two that load and fill, beside one that changes the source and drops."""

    threads = ("load", "change", "load")

    def __init__(self) -> None:
        super().__init__()
        self.memory = MemoryTier(clock=FakeClock())
        self.version = 0
        self.stamp = "old"

    def load(self, _: int) -> None:
        """Look; if it is not there, take a lease, read the source, and fill."""
        if self.memory.get_many([KEY]):
            return
        leases = self.memory.reserve_many([KEY])
        stamp, version = self.stamp, self.version
        self.memory.fill_many({KEY: self.entry(version, stamp)}, leases)
        self.memory.release_many(leases)

    def entry(self, version: int, stamp: str) -> Entry:
        """Return an entry."""
        return Entry(version, math.inf, stamps=(("", "n"), (TAG, stamp)))

    def change(self, _: int) -> None:
        """Change the source and forget."""
        self.version = 1
        self.forget()

    def forget(self) -> None:
        """Drop the key."""
        self.memory.drop_many([KEY])

    def judge(self) -> None:
        """What is there is what the source has."""
        entry = self.memory.peek(KEY)
        assert entry is None or entry.value == self.version, f"{entry.value} is kept, not {self.version}"
        require_agreeing_books(self.memory)


class FillAndPattern(FillAndDrop):
    """The same with a pattern."""

    def forget(self) -> None:
        """Drop what matches."""
        self.memory.drop_matching(Pattern("k*"))


class FillAndClear(FillAndDrop):
    """The same with everything."""

    def forget(self) -> None:
        """Drop everything."""
        self.memory.clear()


class FillAndPut(FillAndDrop):
    """The same with a new value."""

    def forget(self) -> None:
        """Put what the source has now."""
        self.memory.put_many({KEY: self.entry(self.version, self.stamp)})


class FillAndRestamp(FillAndDrop):
    """The same with a new stamp."""

    def forget(self) -> None:
        """Replace the stamp, here last."""
        self.stamp = "new"
        self.memory.replace_stamps({TAG: "new"}, 1)


class StampsOutOfOrder(FillAndDrop):
    """Two changes of a stamp that reach L1 in any order."""

    threads = ("load", "first", "second")

    def __init__(self) -> None:
        super().__init__()
        self.version, self.stamp = 2, "second"
        # Of a load that began before both.
        self.memory.put_many({KEY: self.entry(0, "none")})

    def first(self, _: int) -> None:
        """Tell of the first change."""
        self.memory.replace_stamps({TAG: "first"}, 1)

    def second(self, _: int) -> None:
        """Tell of the second."""
        self.memory.replace_stamps({TAG: "second"}, 2)

    def judge(self) -> None:
        """Also, what is true by now is let in."""
        super().judge()
        self.load(0)
        assert self.memory.peek(KEY).value == self.version


class Crowd(Scene):
    """Stores and removals of every kind in an L1 with room for two."""

    threads = ("store", "remove", "fill")

    def __init__(self) -> None:
        super().__init__()
        self.memory = MemoryTier(max_entries=2, clock=FakeClock())
        self.memory.put_many({"a": self.entry("t"), "b": self.entry("t", "u")})

    def entry(self, *tags: str) -> Entry:
        """Return an entry with tags."""
        return Entry(1, math.inf, stamps=tuple((tag, "old") for tag in tags))

    def store(self, _: int) -> None:
        """Put, with an eviction."""
        self.memory.get_many(["a"])
        self.memory.put_many({"c": self.entry("u"), "a": self.entry("v")})

    def remove(self, _: int) -> None:
        """Drop, and replace a stamp."""
        self.memory.drop_many(["b"])
        self.memory.replace_stamps({"t": "new"}, 1)

    def fill(self, _: int) -> None:
        """Fill, with an eviction."""
        leases = self.memory.reserve_many(["b", "d"])
        self.memory.fill_many({"d": self.entry("t", "u"), "b": self.entry("u")}, leases)
        self.memory.release_many(leases)

    def judge(self) -> None:
        """The books agree."""
        require_agreeing_books(self.memory)
        assert len(self.memory._entries.index) <= 2, "more is kept than there is room for"
