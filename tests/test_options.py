"""Options of entries and how they are merged."""

import math

import pytest

from greencache.errors import InvalidOptionError
from greencache.options import EntryOptions
from greencache.typing import UNSET, CacheTier


def test_what_is_unset_is_taken_from_the_defaults():
    """`None` is set, for a ttl: it means for ever."""
    defaults = EntryOptions(ttl=5.0, stale_ttl=1.0, jitter=0.1, tags=("a",), tier=CacheTier.L2)
    assert EntryOptions().over(defaults) == defaults
    merged = EntryOptions(ttl=None, jitter=0.0, tags=("b",)).over(defaults)
    assert (merged.ttl, merged.jitter, merged.tags, merged.stale_ttl) == (None, 0.0, ("b",), 1.0)


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
