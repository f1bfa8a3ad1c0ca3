"""Rules of time."""

import math

import pytest

from greencache.entry import Entry, State, judge, remaining


@pytest.mark.parametrize(
    ("now", "state"),
    [
        (0, State.FRESH),
        (7.99, State.FRESH),
        (8, State.DUE),
        (10, State.STALE),
        (19.99, State.STALE),
        (20, State.GONE),
    ],
)
def test_an_entry_ages_from_fresh_over_due_and_stale_to_gone(now, state):
    """Each bound belongs to the later state."""
    assert judge(Entry("v", 10.0, 20.0, due_at=8.0), now) is state


def test_an_entry_without_stale_time_is_gone_when_it_is_not_fresh():
    """`stale_until` is never before `fresh_until`, and neither is `due_at` after it."""
    entry = Entry("v", 10.0, due_at=99.0)
    assert (entry.due_at, entry.fresh_until, entry.stale_until) == (10.0, 10.0, 10.0)
    assert judge(entry, 10.0) is State.GONE


def test_a_tier_that_asks_again_earlier_shortens_freshness_only():
    """Past the tier's own ttl the source still vouches for the value."""
    entry = Entry("v", 100.0, 150.0, stamps=(("", "n"),), cost=2.0, size=7)
    kept = entry.retained(60.0)
    assert (kept.due_at, kept.fresh_until, kept.stale_until) == (60.0, 60.0, 150.0)
    assert (kept.stamps, kept.cost, kept.size) == (entry.stamps, 2.0, 7)
    assert entry.retained(100.0) is entry


def test_tags_are_the_stamps_without_the_namespace():
    """The tag "" stands for the namespace."""
    assert Entry("v", 1.0, stamps=(("", "n"), ("a", "1"), ("b", "2"))).tags == ("a", "b")


def test_an_entry_does_not_show_its_value():
    """A repr ends up in logs."""
    assert "secret" not in repr(Entry("secret", 1.0))


def test_what_remains_is_never_negative_and_none_for_ever():
    """As servers want it."""
    assert remaining(5.0, 3.0) == 2.0
    assert remaining(5.0, 9.0) == 0.0
    assert remaining(math.inf, 9.0) is None
