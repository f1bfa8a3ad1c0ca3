"""Drops that wait for a tier."""

from greencache.keys import ANY_TAG, Pattern
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


def test_what_waits_is_told_in_the_words_of_the_caller():
    """Keys, patterns and tags as they were given; the namespace as everything; no stamp of our own."""
    pending = Pending(keys=["a"], patterns=[Pattern("b*")], stamps={"": "1", "t": "2", ANY_TAG: "3"})
    drops = PendingDrops(10, everything)
    drops.add(pending)
    assert pending.describe() == drops.describe() == ("key:a", "pattern:b*", "everything", "stamp:t")


def test_the_same_drops_again_are_not_too_many():
    """What is queued already needs no further room."""
    drops = PendingDrops(3, everything)
    for _ in range(3):
        drops.add(Pending(keys=["a", "b"]))
    assert drops.describe() == ("key:a", "key:b")
