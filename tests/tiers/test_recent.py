"""What a tier was told lately."""

from greencache.keys import Pattern
from greencache.testing import FakeClock
from greencache.tiers.pending import Pending
from greencache.tiers.recent import RecentDrops


def recent_drops(clock, *, window=60.0, capacity=4):
    """Return a memory of few drops, covered by one pattern when there are more."""
    return RecentDrops(
        window, clock=clock, capacity=capacity, collapse=lambda: Pending(patterns=[Pattern("*")])
    )


def test_drops_are_remembered_for_the_window():
    """Keys, patterns and stamps, and not a moment longer."""
    clock = FakeClock()
    drops = recent_drops(clock)
    drops.add(Pending(keys=["a"], patterns=[Pattern("b*")], stamps={"t": "1"}))
    clock.advance(60)
    recent = drops.recent()
    assert (recent.keys, [p.text for p in recent.patterns], list(recent.stamps)) == (["a"], ["b*"], ["t"])
    clock.advance(0.001)
    assert not drops.recent().queued
    assert len(drops) == 0


def test_a_drop_made_again_is_remembered_anew():
    """From the last time on, and after those that came before."""
    clock = FakeClock()
    drops = recent_drops(clock)
    drops.add(Pending(keys=["a"]))
    drops.add(Pending(keys=["b"]))
    clock.advance(40)
    drops.add(Pending(keys=["a"]))
    clock.advance(40)
    assert drops.recent().keys == ["a"]


def test_what_is_old_makes_room_for_what_is_new():
    """Only drops within the window count."""
    clock = FakeClock()
    drops = recent_drops(clock)
    for number in range(100):
        drops.add(Pending(keys=[f"k{number}"]))
        clock.advance(20)
    assert drops.recent().keys == ["k97", "k98", "k99"]


def test_too_many_are_covered_by_few():
    """Memory is bounded, and nothing is left out."""
    clock = FakeClock()
    drops = recent_drops(clock)
    for number in range(100):
        drops.add(Pending(keys=[f"k{number}"]))
        assert len(drops) <= 4
    assert [pattern.text for pattern in drops.recent().patterns] == ["*"]
    drops.add(Pending(keys=[f"k{number}" for number in range(1000)]))
    assert drops.recent().describe() == ("pattern:*",)


def test_the_same_again_is_not_too_many():
    """What is known needs no further room."""
    drops = recent_drops(FakeClock())
    for _ in range(3):
        drops.add(Pending(keys=["a", "b", "c"]))
    assert drops.recent().keys == ["a", "b", "c"]


def test_without_a_window_nothing_is_remembered():
    """Whoever wants no replay pays for none."""
    drops = recent_drops(FakeClock(), window=0)
    drops.add(Pending(keys=["a"]))
    assert len(drops) == 0
