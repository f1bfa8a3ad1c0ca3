"""Many checks in a few lines."""

from greencache.health.samples import HealthSample
from greencache.health.summary import summarize
from greencache.tiers.base import Status

UP, DOWN = Status.UP, Status.DOWN


def test_stretches_of_time_say_what_was_found_in_them():
    """The worst status, the median and the longest latency, what was last in use; empty ones are left out."""
    first = [
        HealthSample(at=600.0, status=UP, latency_ms=1.0, hit_rate=0.5, used_memory=10, evicted_keys=2),
        HealthSample(at=630.0, status=UP, latency_ms=2.0, hit_rate=0.9, used_memory=20, evicted_keys=3),
        HealthSample(at=1_300.0, status=UP, latency_ms=4.0),
    ]
    second = [
        HealthSample(at=615.0, status=UP, latency_ms=9.0, hit_rate=0.7, used_memory=15, evicted_keys=4),
        HealthSample(at=645.0, status=DOWN, error="away"),
    ]
    early, late = summarize({"a:1": first, "b:2": second}, 300.0)
    assert (early.start, early.processes, early.checks, early.failed) == (600.0, 2, 4, 1)
    assert (early.status, early.error) == ("down", "away")
    assert (early.latency_ms, early.max_latency_ms, early.hit_rate) == (2.0, 9.0, 0.7)
    assert (early.used_memory, early.evicted_keys) == (20, 5)
    assert (late.start, late.status, late.checks, late.evicted_keys) == (1_200.0, "up", 1, None)


def test_nothing_found_is_nothing_said():
    """Also by a process that is known and has no samples."""
    assert summarize({}, 300.0) == []
    assert summarize({"a:1": []}, 300.0) == []
