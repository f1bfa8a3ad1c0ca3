"""Options of entries and how they are merged."""

import math

import pytest

from greencache.entry import XFETCH_REACH
from greencache.errors import InvalidOptionError
from greencache.options import EntryOptionArguments, EntryOptions
from greencache.typing import UNSET, CacheTier


def test_what_a_call_does_not_give_is_left_to_the_defaults():
    """`None` is given, for a ttl: it means for ever. `UNSET` is not."""
    defaults = EntryOptions(ttl=5.0, stale_ttl=1.0, jitter=0.1, tags=("a",), tier=CacheTier.L2)
    assert defaults.replaced({}) == defaults
    assert defaults.replaced(dict.fromkeys(EntryOptionArguments.__annotations__, UNSET)) == defaults
    merged = defaults.replaced({"ttl": None, "jitter": 0.0, "tags": ["b"]})
    assert (merged.ttl, merged.jitter, merged.tags, merged.stale_ttl) == (None, 0.0, ("b",), 1.0)


def test_a_call_may_give_no_tags_and_no_deepest_tier():
    """Though the defaults name some: what is given counts, whatever it is."""
    defaults = EntryOptions(tags=["t"], tier=CacheTier.L1)
    assert defaults.replaced({"tags": ()}) == EntryOptions(tier=CacheTier.L1)
    assert defaults.replaced({"tier": None}) == EntryOptions(tags=["t"])


def test_what_a_call_gives_is_checked_with_the_defaults():
    """And what is no option is refused."""
    with pytest.raises(InvalidOptionError, match="jitter must be"):
        EntryOptions().replaced({"jitter": 2})
    with pytest.raises(TypeError, match="ttll"):
        EntryOptions().replaced({"ttll": 2})


def test_a_lifetime_has_a_due_a_fresh_and_a_stale_end():
    """From ttl, refresh_ahead and stale_ttl."""
    options = EntryOptions(ttl=100.0, refresh_ahead=0.8, stale_ttl=30.0)
    assert options.lifetime(7.0) == (80.0, 100.0, 130.0)
    assert EntryOptions().lifetime(7.0) == (7.0, 7.0, 7.0)
    assert EntryOptions(ttl=None, stale_ttl=5.0).lifetime(7.0) == (math.inf,) * 3
    assert EntryOptions().lifetime(None) == (math.inf,) * 3


def test_tags_are_kept_once_and_in_order():
    """However they were given."""
    assert EntryOptions(tags=["b", "a", "b"]).tags == ("b", "a")


@pytest.mark.parametrize("ttl", [-1, math.nan, "5", True, [], UNSET])
def test_a_ttl_is_a_number_of_seconds(ttl):
    """Not negative, not NaN, not text."""
    if ttl is UNSET:
        assert EntryOptions(ttl=ttl).ttl is UNSET
        return
    with pytest.raises(InvalidOptionError, match="ttl must be"):
        EntryOptions(ttl=ttl)


@pytest.mark.parametrize("name", ["stale_ttl", "negative_ttl", "retry_after", "soft_timeout", "hard_timeout"])
@pytest.mark.parametrize("value", [-1, math.nan, "5", True, None, []])
def test_a_duration_is_a_number_of_seconds(name, value):
    """Not negative, not NaN, not text; `None` means for ever only for a ttl."""
    with pytest.raises(InvalidOptionError, match=f"{name} must be"):
        EntryOptions(**{name: value})


@pytest.mark.parametrize("name", ["stale_ttl", "negative_ttl", "retry_after", "soft_timeout", "hard_timeout"])
def test_a_duration_may_be_nothing_or_endless(name):
    """Both say something, and are not the default."""
    for value in (0, 0.0, 5, math.inf):
        assert getattr(EntryOptions(**{name: value}), name) == value
    assert getattr(EntryOptions(**{name: 5}).replaced({name: 0}), name) == 0


@pytest.mark.parametrize("beta", [-0.1, math.nan, math.inf, "1", True, None])
def test_a_beta_is_a_finite_number(beta):
    """Not negative either."""
    with pytest.raises(InvalidOptionError, match="beta must be"):
        EntryOptions(beta=beta)


@pytest.mark.parametrize("name", ["refresh_ahead", "jitter"])
@pytest.mark.parametrize("part", [-0.1, 1.1, math.nan, "0.5", True, None])
def test_a_part_is_between_nothing_and_all(name, part):
    """Of the ttl."""
    with pytest.raises(InvalidOptionError, match=f"{name} must be"):
        EntryOptions(**{name: part})


def test_one_way_to_reload_early_is_enough():
    """Both at once would be two answers to one question; a beta of 0 is none."""
    with pytest.raises(InvalidOptionError, match=r"not both, got 0\.8 and 1"):
        EntryOptions(refresh_ahead=0.8, beta=1)
    assert EntryOptions(refresh_ahead=0.8, beta=0).refresh_ahead == 0.8


def test_of_two_ways_to_reload_early_the_calls_goes_before_the_default():
    """Either way round, and neither is refused for what the cache says."""
    by_part, by_beta = EntryOptions(refresh_ahead=0.8, jitter=0.1), EntryOptions(beta=1.5, jitter=0.1)
    chosen = by_part.replaced({"beta": 2})
    assert (chosen.beta, chosen.refresh_ahead, chosen.jitter) == (2, UNSET, 0.1)
    chosen = by_beta.replaced({"refresh_ahead": 0.5})
    assert (chosen.beta, chosen.refresh_ahead, chosen.jitter) == (UNSET, 0.5, 0.1)
    assert by_beta.replaced({"beta": 0}).beta == 0
    for both in ({"beta": 2, "refresh_ahead": 0.5}, {"refresh_ahead": 0.5, "beta": 2}):
        with pytest.raises(InvalidOptionError, match="not both"):
            by_beta.replaced(both)


def test_a_call_without_beta_still_reloads_after_the_part_of_the_default():
    """A beta of 0 says never at random, and nothing of the other way."""
    chosen = EntryOptions(refresh_ahead=0.8).replaced({"beta": 0})
    assert (chosen.beta, chosen.refresh_ahead) == (0, 0.8)


def test_with_a_beta_an_entry_is_due_as_far_ahead_as_a_draw_can_reach():
    """That is from when on readers throw their dice; also before it was stored, if loading takes long."""
    options = EntryOptions(ttl=100, beta=2, stale_ttl=30)
    assert options.lifetime(None, cost=0.5) == (100 - XFETCH_REACH, 100, 130)
    assert options.lifetime(None, cost=50.0)[0] < 0
    assert options.lifetime(None) == (100, 100, 130)
    assert EntryOptions(ttl=math.inf, beta=2).lifetime(None, cost=50.0) == (math.inf,) * 3


def test_only_who_gives_a_time_waits_no_longer():
    """A timeout of 0 is one."""
    assert not EntryOptions().has_timeout
    assert EntryOptions(soft_timeout=0).has_timeout
    assert EntryOptions(hard_timeout=0).has_timeout
    assert not EntryOptions(retry_after=1, negative_ttl=1).has_timeout
