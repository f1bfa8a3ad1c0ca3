"""What came out, added up and as JSON."""

import decimal
import json
from decimal import Decimal

import pytest

from greencache.demo.outcome import add_up, combine_stats, tonnes
from greencache.typing import CacheTier


def test_sums_are_exact_where_the_default_context_rounds():
    """28 digits are not enough for the world's emissions in grams with all decimals of all factors."""
    large, small = Decimal("1e25"), Decimal("0.0000001")
    assert large + small == large
    assert str(add_up([large, small])) == "10000000000000000000000000.0000001"


def test_a_sum_that_cannot_be_exact_raises():
    """Rather no total than a rounded one."""
    with pytest.raises(decimal.Inexact):
        add_up([Decimal("1e40"), Decimal("1e-40")])


def test_tonnes_keep_all_digits():
    """A gram is a millionth of a tonne, and nothing is rounded away."""
    assert str(tonnes(Decimal("12345678901234567890123456789.123"))) == "12345678901234567890123.456789123"


def test_counts_of_several_workers_add_up(make_stage):
    """Hits, misses and loads of all workers together."""
    stats = combine_stats([make_stage(hits=90, misses=10).stats, make_stage(hits=50, misses=50).stats])
    assert stats[CacheTier.L1].hits == 140
    assert stats[CacheTier.L1].hit_rate == pytest.approx(0.7)
    assert stats[CacheTier.L2].hits == 60
    assert stats.loads.loads == 4


def test_nothing_adds_up_to_nothing():
    """A demo that was interrupted before its first pass has counts too."""
    assert combine_stats([]).tiers == {}


def test_json_has_what_readers_of_it_look_for(outcome):
    """The names are a promise to whoever checks the demo by its JSON."""
    found = json.loads(json.dumps(outcome.as_dict()))
    assert found["tiers"]["L1"]["hits"] == 190
    assert found["tiers"]["L1"]["hit_rate"] == pytest.approx(0.95)
    assert found["tiers"]["L2"] == {
        "hits": 10,
        "hit_rate": 1.0,
        "lookups": 10,
        "seconds_per_lookup": 1e-4,
        "entries": 800,
    }
    assert found["emissions_direct"] == found["emissions_cached"] == 3.0
    assert found["emissions_direct_exact"] == found["emissions_cached_exact"] == "3.000000"
    assert found["stale_after_invalidate"] == 0
    assert found["errors_during_outage"] == 0
    assert found["rows"] == 100
    assert found["rows_per_second"] == pytest.approx(200)
    assert found["loader_calls"] == 6
    assert found["checks"]["nobody fails"] == {"holds": False, "found": "1 error"}


def test_only_checks_that_did_not_hold_have_failed(outcome):
    """They decide the exit status, and are named."""
    assert [check.name for check in outcome.failed] == ["nobody fails"]
    outcome.check("another", holds=True, found=3)
    assert len(outcome.failed) == 1
