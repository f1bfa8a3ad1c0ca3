"""Rules of time."""

import math
import random

import pytest

from greencache.entry import XFETCH_REACH, Entry, State, is_due_early, judge, remaining
from greencache.typing import MISSING


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
    entry = Entry("v", 100.0, 150.0, stamps=(("", "n"),), cost=2.0)
    kept = entry.retained(60.0)
    assert (kept.due_at, kept.fresh_until, kept.stale_until) == (60.0, 60.0, 150.0)
    assert (kept.stamps, kept.cost) == (entry.stamps, 2.0)
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


def test_an_entry_that_says_there_is_nothing_is_always_due():
    """So that whoever serves fresh entries without a second look passes it by; it ends like others."""
    nothing = Entry(MISSING, 10.0, 20.0, due_at=8.0)
    assert [judge(nothing, now) for now in (-1e9, 9.0, 10.0, 20.0)] == [
        State.DUE,
        State.DUE,
        State.STALE,
        State.GONE,
    ]
    assert judge(nothing.retained(5.0), 4.0) is State.DUE


def test_a_revived_entry_is_fresh_until_its_source_may_be_asked_again():
    """Whatever it was; it keeps what else it had."""
    entry = Entry("v", 10.0, 100.0, due_at=8.0, created=5.0, stamps=(("", "n"),), cost=2.0)
    revived = entry.revived(40.0)
    assert [judge(revived, now) for now in (39.9, 40.0, 100.0)] == [State.FRESH, State.STALE, State.GONE]
    assert (revived.created, revived.stamps, revived.cost) == (5.0, (("", "n"),), 2.0)


def test_a_revived_entry_is_kept_no_longer():
    """`stale_ttl` bounds it, however often loading fails."""
    entry = Entry("v", 10.0, 30.0).revived(40.0).revived(50.0)
    assert [judge(entry, now) for now in (29.9, 30.0)] == [State.FRESH, State.GONE]


def test_an_entry_that_is_still_fresh_is_not_shortened_by_being_revived():
    """A failed reload ahead of its end only puts off the next one."""
    entry = Entry("v", 100.0, 200.0, due_at=50.0).revived(60.0)
    assert [judge(entry, now) for now in (59.9, 60.0, 100.0)] == [State.FRESH, State.DUE, State.STALE]


# -- XFetch (Vattani et al., 2015) -----------------------------------------------------------------------


def early(end, cost, beta=1.0):
    """Return an entry as it is made with a beta."""
    return Entry("v", end, due_at=end - XFETCH_REACH * beta * cost, cost=cost)


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("draw", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_reader_reloads_from_the_moment_that_its_draw_gives(beta, draw):
    """Figure 3 of the paper: now - cost * beta * ln(rand()) >= end, with rand() in (0, 1]."""
    entry, moment = early(1000.0, 2.0, beta), 1000.0 + 2.0 * beta * math.log(1.0 - draw)
    assert not is_due_early(entry, moment - 1e-6, beta, draw)
    assert is_due_early(entry, moment + 1e-6, beta, draw)


def test_at_its_end_every_reader_reloads():
    """And none before, who draws nothing."""
    assert is_due_early(early(1000.0, 2.0), 1000.0, 1.0, 0.0)
    assert not is_due_early(early(1000.0, 2.0), math.nextafter(1000.0, 0.0), 1.0, 0.0)


def test_without_a_cost_or_a_beta_nobody_reloads_early():
    """A load that takes no time need not be done ahead; 0 is never."""
    assert not is_due_early(early(1000.0, 0.0), 999.999, 1.0, 1 - 2**-53)
    assert not is_due_early(early(1000.0, 2.0), 999.999, 0.0, 1 - 2**-53)


def test_no_draw_reaches_farther_than_an_entry_is_due():
    """So an entry that is not due yet may be served without a throw of the dice."""
    entry, farthest = early(1000.0, 2.0), 1 - 2**-53
    assert not is_due_early(entry, entry.due_at, 1.0, farthest)
    assert judge(entry, math.nextafter(entry.due_at, 0.0)) is State.FRESH
    assert is_due_early(entry, 1000.0 - 36.7 * 2.0, 1.0, farthest)


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("before", [0.5, 1.0, 3.0])
def test_as_many_readers_reload_early_as_the_paper_says(beta, before):
    """That far before the end, in load times, exp(-before / beta) of them do."""
    dice, cost, readers = random.Random(20150801), 2.0, 20_000
    entry = early(1000.0, cost, beta)
    now = 1000.0 - before * cost
    share = sum(is_due_early(entry, now, beta, dice.random()) for _ in range(readers)) / readers
    expected = math.exp(-before / beta)
    deviation = math.sqrt(expected * (1 - expected) / readers)
    assert abs(share - expected) < 5 * deviation


def test_a_tier_that_asks_again_earlier_makes_nobody_reload_earlier():
    """The end that counts is that of the value, not the moment when L1 asks below again."""
    kept = early(1000.0, 2.0).retained(960.0)
    assert judge(kept, 959.0) is State.DUE
    assert not is_due_early(kept, 959.0, 1.0, 0.5)
    assert is_due_early(kept, 959.0, 1.0, 1 - 2**-53)
