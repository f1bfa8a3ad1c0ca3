"""Drops that wait for a tier."""

import pytest

from greencache.keys import ANY_TAG, Pattern
from greencache.tiers.pending import Pending, PendingDrops


def everything():
    """Return what covers any drops."""
    return Pending(patterns=[Pattern("*")])


def begun(drops):
    """Begin a replay and return what is replayed."""
    pending = Pending()
    assert drops.begin(pending)
    return pending


def test_what_is_replayed_leaves_the_queue():
    """Keys, patterns and stamps."""
    drops = PendingDrops(10, everything)
    drops.add(Pending(keys=["a", "b"], patterns=[Pattern("c*")], stamps={"t": "1"}))
    pending = begun(drops)
    assert (pending.keys, [p.text for p in pending.patterns], pending.stamps) == (
        ["a", "b"],
        ["c*"],
        {"t": "1"},
    )
    drops.end(pending, is_told=True)
    assert not drops


def test_one_replays_at_a_time():
    """The others treat the tier as away."""
    drops = PendingDrops(10, everything)
    drops.add(Pending(keys=["a"]))
    first, other = begun(drops), Pending()
    assert not drops.begin(other)
    drops.end(other, is_told=False)
    assert not drops.begin(other)
    drops.end(first, is_told=False)
    assert begun(drops).keys == first.keys


def test_a_drop_queued_again_during_its_replay_stays_queued():
    """The replay may have reached the tier before what the second drop is about."""
    drops = PendingDrops(10, everything)
    drops.add(Pending(keys=["a", "b"], stamps={"t": "1"}))
    pending = begun(drops)
    drops.add(Pending(keys=["a"], stamps={"t": "2"}))
    drops.end(pending, is_told=True)
    assert sorted(drops.describe()) == ["key:a", "stamp:t"]
    assert begun(drops).stamps == {"t": "2"}


def test_too_many_are_covered_by_few_and_stamps_stay():
    """Nothing is forgotten silently: all counts as dropped."""
    drops = PendingDrops(3, everything)
    drops.add(Pending(stamps={"t": "1"}))
    for number in range(10):
        drops.add(Pending(keys=[f"k{number}"]))
    pending = begun(drops)
    assert pending.stamps == {"t": "1"}
    assert [pattern.text for pattern in pending.patterns] == ["*"]


def test_stamps_that_come_when_the_queue_is_full_stay_too():
    """What covers keys and patterns in a tier covers no stamps that it keeps for another."""
    drops = PendingDrops(10, everything)
    drops.add(Pending(keys=[f"k{number}" for number in range(10)]))
    drops.add(Pending(stamps={ANY_TAG: "1", "t": "2"}))
    assert begun(drops).stamps == {ANY_TAG: "1", "t": "2"}


def test_too_many_stamps_are_covered_by_that_of_the_namespace():
    """Every entry carries it; so a queue stays bounded however long an outage lasts."""
    drops = PendingDrops(10, everything)
    for number in range(100):
        drops.add(Pending(stamps={ANY_TAG: "1", f"t{number}": "2"}))
        assert len(drops) <= 12
    stamps = begun(drops).stamps
    assert stamps[""]
    assert stamps["t99"] == "2"


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


def test_of_many_that_wait_the_first_are_told_and_how_many_more():
    """An outage in which thousands are queued is no reason to write them all into every error."""
    drops = PendingDrops(1_000, everything)
    drops.add(Pending(keys=[f"k{number}" for number in range(100)]))
    assert drops.describe() == tuple(f"key:k{number}" for number in range(100))
    drops.add(Pending(keys=[f"k{number}" for number in range(100, 150)], stamps={ANY_TAG: "1", "t": "2"}))
    assert drops.describe() == (*(f"key:k{number}" for number in range(100)), "… and 51 more")


def test_what_comes_while_many_wait_costs_no_look_at_all_of_them():
    """Each invalidation of an outage would be slower than the one before."""

    class Watched(dict):
        """Forbids to walk through it."""

        def __iter__(self):
            """Count what is looked at."""
            for looked, name in enumerate(super().__iter__()):
                assert looked <= 150
                yield name

        def keys(self):
            """Forbid it."""
            pytest.fail("all that wait were looked at")

        items = keys

    drops = PendingDrops(10_000, everything)
    drops.add(Pending(keys=[f"k{number}" for number in range(9_999)]))
    drops._queued = Watched(drops._queued)
    for number in range(5):
        drops.add(Pending(keys=["k1", "new"]))
        assert len(drops.describe()) == 101, number


def test_what_was_heard_of_need_not_be_announced():
    """Unless this process has dropped it as well, before or since, and not yet told the others."""
    drops = PendingDrops(10, everything)
    drops.add(Pending(keys=["heard", "before"], is_heard=True))
    drops.add(Pending(keys=["own", "before"]))
    drops.add(Pending(keys=["own"], patterns=[Pattern("p*")], is_heard=True))
    replay = begun(drops)
    assert set(replay.keys) == {"heard", "before", "own"}
    assert set(replay.own.keys) == {"own", "before"}
    assert [pattern.text for pattern in replay.patterns] == ["p*"]
    assert replay.own.patterns == []


@pytest.mark.parametrize("is_heard", [True, False])
def test_what_covers_many_is_heard_of_if_all_of_them_are(is_heard):
    """Else those that only this process knows of would never be announced."""
    drops = PendingDrops(3, everything)
    drops.add(Pending(keys=["a", "b"], is_heard=is_heard))
    drops.add(Pending(keys=["c", "d"], is_heard=True))
    replay = begun(drops)
    assert [pattern.text for pattern in replay.patterns] == ["*"]
    assert bool(replay.own.patterns) is not is_heard


def test_no_key_is_untouched_by_a_drop_of_the_namespace():
    """Also where it stands for drops that were too many to be kept one by one."""
    drops = PendingDrops(10, everything)
    drops.add(Pending(keys=["a"], stamps={"t": "1"}))
    assert drops.untouched(["a", "b"]) == ["b"]
    drops.add(Pending(stamps={"": "2"}))
    assert drops.untouched(["a", "b"]) == []


def test_what_covers_too_many_covers_all_keys():
    """Those that are not named any more too."""
    drops = PendingDrops(2, lambda: Pending(stamps={"": "1"}))
    drops.add(Pending(keys=["a", "b"]))
    drops.add(Pending(keys=["c"]))
    assert drops.untouched(["a", "d"]) == []
