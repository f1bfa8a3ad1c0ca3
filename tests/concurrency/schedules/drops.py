"""Scenes of the queue of drops: nothing that a tier must forget is lost."""

from greencache.keys import Pattern
from greencache.testing import FakeClock
from greencache.tiers.pending import Pending, PendingDrops
from greencache.tiers.recent import RecentDrops

from .harness import Scene


class AddAndReplay(Scene):
    """Drops are queued while others are replayed."""

    threads = ("add", "add", "replay")
    capacity = 100

    def __init__(self) -> None:
        super().__init__()
        self.drops = PendingDrops(self.capacity, lambda: Pending(patterns=[Pattern("*")]))
        self.outdated: set[str] = set()
        """What the tier still has and must forget."""
        self.replaying: list[int] = []
        self.make_outdated("k")

    def make_outdated(self, key: str) -> None:
        """Let a drop of a key not reach the tier."""
        self.outdated.add(key)
        self.drops.add(Pending(keys=[key]))

    def add(self, me: int) -> None:
        """Queue what is queued already, and something else."""
        self.make_outdated("k")
        self.make_outdated(f"k{me}")

    def replay(self, me: int) -> None:
        """Replay what is queued."""
        self.try_replay(me, fails=False)

    def fail(self, me: int) -> None:
        """Replay, in vain."""
        self.try_replay(me, fails=True)

    def try_replay(self, me: int, *, fails: bool) -> None:
        """Replay once."""
        pending = Pending()
        if not self.drops.begin(pending):
            return
        self.replaying.append(me)
        assert len(self.replaying) == 1, "two replay at once"
        if not fails:
            for key in self.outdated.copy() if pending.patterns else pending.keys:
                self.outdated.discard(key)
        self.replaying.remove(me)
        self.drops.end(pending, is_told=not fails)

    def judge(self) -> None:
        """What the tier has and must forget is queued, and is forgotten by one more replay."""
        queued = set(self.drops.describe())
        lost = {key for key in self.outdated if not {f"key:{key}", "pattern:*"} & queued}
        assert not lost, f"{lost} would never be dropped; {queued} is queued"
        self.replay(0)
        assert not self.outdated, f"{self.outdated} is left after a replay"
        assert not self.drops, f"{self.drops.describe()} is left after a replay"


class TwoReplays(AddAndReplay):
    """Two want to replay at once, and one does."""

    threads = ("add", "replay", "replay")


class FailingReplay(AddAndReplay):
    """A replay fails, and keeps everything."""

    threads = ("add", "fail", "replay")


class Overflowing(AddAndReplay):
    """More drops come than are kept one by one."""

    capacity = 2


class Remembered(Scene):
    """What a tier was told lately is remembered, one by one or as a whole."""

    threads = ("add", "add", "look")

    def __init__(self) -> None:
        super().__init__()
        everything = Pending(patterns=[Pattern("*")])
        self.recent = RecentDrops(10.0, clock=FakeClock(), capacity=2, collapse=lambda: everything)

    def add(self, me: int) -> None:
        """Remember two, one of which others remember too."""
        self.recent.add(Pending(keys=["k"]))
        self.recent.add(Pending(keys=[f"k{me}"]))

    def look(self, _: int) -> None:
        """Ask for what is remembered."""
        self.recent.recent()

    def judge(self) -> None:
        """Each is there, or covered."""
        recent = self.recent.recent()
        assert recent.patterns or set(recent.keys) == {"k", "k0", "k1"}, recent.describe()
        assert len(self.recent) <= 3, "more is remembered than there is room for, and one a writer"
