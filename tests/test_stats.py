"""Counters and their snapshots."""

import dataclasses

import pytest

from greencache.stats import CacheStats, LoadStats, TierCounters, TierStats
from greencache.typing import CacheTier


def test_a_snapshot_has_every_counter():
    """A counter that is added to one is added to the other."""
    counters = TierCounters()
    counters.hits += 3
    counters.misses += 1
    snapshot = counters.snapshot()
    assert {field.name for field in dataclasses.fields(TierStats)} == set(TierCounters.__slots__)
    assert (snapshot.lookups, snapshot.hit_rate) == (4, 0.75)


def test_snapshots_subtract():
    """To see what happened between two of them."""
    early = CacheStats({CacheTier.L1: TierStats(hits=2)}, LoadStats(loads=1))
    late = CacheStats({CacheTier.L1: TierStats(hits=5, misses=3)}, LoadStats(loads=4))
    between = late - early
    assert (between["L1"].hits, between[CacheTier.L1].misses, between.loads.loads) == (3, 3, 3)


def test_a_hit_in_any_tier_counts_for_the_cache():
    """The rate is of the keys that L1 was asked for."""
    stats = CacheStats(
        {CacheTier.L1: TierStats(hits=6, misses=4), CacheTier.L2: TierStats(hits=3, misses=1)}, LoadStats()
    )
    assert stats.hit_rate == pytest.approx(0.9)


def test_no_lookups_are_no_division_by_zero():
    """A fresh cache has a rate too."""
    assert TierStats().hit_rate == 0.0
    assert CacheStats({}, LoadStats()).hit_rate == 0.0
