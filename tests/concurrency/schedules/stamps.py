"""Scenes of the table of stamps over an authority: what L1 keeps has the authority's stamp."""

import math
from collections.abc import Iterable, Mapping

from greencache.entry import Entry
from greencache.stamps import StampTable
from greencache.testing import FakeClock
from greencache.tiers.memory import MemoryTier

from .harness import Scene

KEY, TAG = "k", "t"


class Authority:
    """Where stamps are kept: answers with what it has at that moment."""

    def __init__(self, stamps: Mapping[str, str]) -> None:
        self.stamps = dict(stamps)

    def read_stamps(self, tags: Iterable[str], _seed: object = None) -> dict[str, str]:
        """Return the stamps of tags."""
        return {tag: self.stamps.get(tag) for tag in tags}


class Heard:
    """A bus by which everything is heard."""

    trusted_until = math.inf


class TagDuringLoad(Scene):
    """A load under a tag, while another process replaces its stamp."""

    threads = ("load", "restamp", "load")

    def __init__(self) -> None:
        super().__init__()
        clock = FakeClock()
        self.version = 0
        self.memory = MemoryTier(clock=clock)
        self.authority = Authority({"": "n", TAG: "stamp 0"})
        self.table = StampTable(Heard(), clock, on_changed=self.memory.replace_stamps)
        self.table.keepers = (self.authority,)

    def load(self, _: int) -> None:
        """Do what a leader does: a lease, the stamps, the source, and the fill."""
        if self.memory.get_many([KEY]):
            return
        leases = self.memory.reserve_many([KEY])
        stamps = self.table.current([TAG])
        version = self.version
        self.memory.fill_many({KEY: Entry(version, math.inf, stamps=stamps)}, leases)
        self.memory.release_many(leases)

    def restamp(self, _: int) -> None:
        """Change the source, replace the stamp at the authority, and announce it."""
        self.change(1)
        self.table.expect({TAG: "stamp 1"})

    def change(self, version: int) -> None:
        """Change the source, and the stamp at the authority."""
        self.version = version
        self.authority.stamps[TAG] = f"stamp {version}"

    def judge(self) -> None:
        """What is in L1 has the current stamp and the current version; and L1 can be filled."""
        entry = self.memory.peek(KEY)
        assert entry is None or entry.value == self.version, f"{entry.value} is kept, not {self.version}"
        truth = self.authority.stamps[TAG]
        current, replaced = ((TAG, truth),), ((TAG, "stamp 0"),)
        # In this order: the authority's stamp makes the table look again at what it remembers.
        assert not self.table.current_among({replaced}), "the table believes a replaced stamp"
        assert self.table.current_among({current}), "the table denies the authority's stamp"
        self.load(0)
        kept = self.memory.peek(KEY)
        assert kept is not None, "what was loaded anew is not kept"
        assert kept.value == self.version, f"{kept.value} is kept"


class AnnouncedInReverse(TagDuringLoad):
    """Two other processes replace a stamp, and are heard in the other order."""

    def restamp(self, _: int) -> None:
        """Replace twice, announce backwards."""
        self.change(1)
        self.change(2)
        self.table.expect({TAG: "stamp 2"})
        self.table.expect({TAG: "stamp 1"})


class TwoInvalidations(TagDuringLoad):
    """Two threads of this process replace a stamp at once."""

    threads = ("load", "replace", "replace")

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[int] = []

    def replace(self, me: int) -> None:
        """Change the source, and then the stamp, here last."""
        self.changes.append(me)
        self.version = max(self.version, len(self.changes))
        self.authority.stamps[TAG] = f"stamp of {me}"
        self.table.expect({TAG: f"stamp of {me}"})


class Gap(TagDuringLoad):
    """A replacement was not heard, which is noticed."""

    def restamp(self, _: int) -> None:
        """Replace unheard; then doubt everything."""
        self.change(1)
        self.table.doubt()
        self.memory.clear()


class WithoutAuthority(TagDuringLoad):
    """L1 alone, whose table is its own authority."""

    def __init__(self) -> None:
        super().__init__()
        self.table.keepers = ()
        self.table.expect({"": "n", TAG: "stamp 0"})
