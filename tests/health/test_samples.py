"""What is kept of a check."""

import pytest

from greencache.backends.redis_report import RedisHealth
from greencache.health.samples import HealthSample, hit_rate_since, read_line, sample_of, to_line
from greencache.tiers.base import Status, TierHealth

WHOLE = HealthSample(
    at=1_700_000_000.125,
    status=Status.DEGRADED,
    latency_ms=120.5,
    hit_rate=0.75,
    evicted_keys=3,
    used_memory=1_000,
    max_memory=2_000,
    connected_clients=5,
    role="master",
    replication_lag=1.0,
    is_persisting=True,
    error="slow",
)


def redis_after(hits, misses, evicted=0, run_id="a"):
    """Return what a server says after so many lookups."""
    return RedisHealth(
        up=True, keyspace_hits=hits, keyspace_misses=misses, evicted_keys=evicted, run_id=run_id
    )


def test_the_hit_rate_is_that_since_the_check_before():
    """Not since the server's start, which may be long ago."""
    assert hit_rate_since(redis_after(900, 100), redis_after(901, 103)) == 0.25
    assert hit_rate_since(redis_after(900, 100), redis_after(900, 100)) is None
    assert hit_rate_since(None, redis_after(3, 1)) == 0.75


@pytest.mark.parametrize(
    "now", [redis_after(1_000, 3_000, run_id="b"), redis_after(1, 3), redis_after(1, 3, run_id="b")]
)
def test_a_server_that_restarted_counts_from_nothing(now):
    """And so does another one that took its place, whatever its counts."""
    assert hit_rate_since(redis_after(900, 100), now) == 0.25


def test_a_sample_has_what_the_check_found():
    """Evictions since the check before; what a tier that is no Redis does not tell is None."""
    health = TierHealth(status=Status.UP, latency_ms=1.23456, server=redis_after(9, 1, evicted=7))
    found = sample_of(health, redis_after(5, 1, evicted=4), 1_000.0)
    assert (found.at, found.status, found.latency_ms) == (1_000.0, Status.UP, 1.235)
    assert (found.hit_rate, found.evicted_keys) == (1.0, 3)
    down = sample_of(TierHealth(status=Status.DOWN, error="x" * 1_000), None, 1_000.0)
    assert (down.latency_ms, down.hit_rate, len(down.error)) == (None, None, 200)


def test_a_line_is_read_as_it_was_written():
    """By any process, also of a later version that has more to tell."""
    assert read_line(to_line(WHOLE)) == WHOLE
    sparse = HealthSample(at=1.0, status=Status.DOWN, error='it is\n"down"')
    assert read_line(to_line(sparse)) == sparse
    assert "\n" not in to_line(sparse)
    assert read_line(to_line(WHOLE)[:-1] + ',"more"]') == WHOLE


@pytest.mark.parametrize("line", ["", "[]", "{}", "null", "[1]", '[1,"well"]', '["x","up"]', "[1,", '"up"'])
def test_what_is_no_sample_is_left_out(line):
    """Somebody else may have written it."""
    assert read_line(line) is None
