"""Drops that wait for a tier."""

from greencache.keys import Pattern
from greencache.tiers.pending import Pending, PendingDrops


def everything():
    """Return what covers any drops."""
    return Pending(patterns=[Pattern("*")])


def test_what_is_replayed_leaves_the_queue():
    """Keys, patterns and stamps."""
    drops = PendingDrops(10, everything)
    drops.add(Pending(keys=["a", "b"], patterns=[Pattern("c*")], stamps={"t": "1"}))
    pending = drops.begin()
    assert (pending.keys, [p.text for p in pending.patterns], pending.stamps) == (
        ["a", "b"],
        ["c*"],
        {"t": "1"},
    )
    drops.end(pending)
    assert not drops


def test_one_replays_at_a_time():
    """The others treat the tier as away."""
    drops = PendingDrops(10, everything)
    drops.add(Pending(keys=["a"]))
    first = drops.begin()
    assert drops.begin() is None
    drops.end(None)
    assert drops.begin().keys == first.keys


def test_a_drop_queued_again_during_its_replay_stays_queued():
    """The replay may have reached the tier before what the second drop is about."""
    drops = PendingDrops(10, everything)
    drops.add(Pending(keys=["a", "b"], stamps={"t": "1"}))
    pending = drops.begin()
    drops.add(Pending(keys=["a"], stamps={"t": "2"}))
    drops.end(pending)
    assert sorted(drops.describe()) == ["key:a", "stamp:t"]
    assert drops.begin().stamps == {"t": "2"}


def test_too_many_are_covered_by_few_and_stamps_stay():
    """Nothing is forgotten silently: all counts as dropped."""
    drops = PendingDrops(3, everything)
    drops.add(Pending(stamps={"t": "1"}))
    for number in range(10):
        drops.add(Pending(keys=[f"k{number}"]))
    pending = drops.begin()
    assert pending.stamps == {"t": "1"}
    assert [pattern.text for pattern in pending.patterns] == ["*"]
