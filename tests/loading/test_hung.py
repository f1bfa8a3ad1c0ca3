"""A load that hangs holds a key for as long as anybody waits for it, and no longer."""

import threading

import pytest

from greencache import CacheManager, LoadTimeoutError
from greencache.testing import DoubleRedisTier, FakeClock, RedisDouble, wait_until
from greencache.tiers.memory import MemoryTier

PATIENCE = 0.3


@pytest.fixture
def hanging():
    """Return a loader whose first call hangs until the test has ended."""
    may_end, calls = threading.Event(), []

    def load():
        calls.append(1)
        if len(calls) == 1:
            may_end.wait(60)
        return "good"

    yield load
    may_end.set()


def test_who_gives_up_early_leaves_a_hung_load_to_nobody(hanging):
    """All callers have hard time-outs below the patience; somebody loads anew all the same."""
    cache = CacheManager(patience=PATIENCE)

    def is_loaded():
        try:
            return cache.get_or_load("k", hanging, hard_timeout=0.05) == "good"
        except LoadTimeoutError:
            return False

    wait_until(is_loaded, reason="the hung load is taken for hung")


def test_a_stale_value_does_not_hide_a_hung_load_for_ever(hanging):
    """Callers with a soft time-out get it, until somebody loads anew."""
    clock = FakeClock()
    cache = CacheManager(patience=PATIENCE, clock=clock)
    cache.set("k", "stale", ttl=1, stale_ttl=600)
    clock.advance(2)
    answers = []

    def is_loaded():
        answers.append(cache.get_or_load("k", hanging, soft_timeout=0.02, ttl=60, stale_ttl=600))
        return answers[-1] == "good"

    wait_until(is_loaded, reason="the hung load is taken for hung")
    assert set(answers) == {"stale", "good"}


def test_a_loader_of_one_is_asked_once_for_a_key_remembered_as_missing():
    """It takes the place of the memory in every tier, and nothing is dropped for that."""
    clock, server = FakeClock(), RedisDouble()
    tiers = [MemoryTier(clock=clock), DoubleRedisTier(server, clock=clock)]
    cache = CacheManager(tiers, clock=clock)
    other = CacheManager([MemoryTier(clock=clock), DoubleRedisTier(server, clock=clock)], clock=clock)
    assert cache.get_or_load_many(["k"], lambda _: {}, negative_ttl=60) == {}
    before = cache.get_stats()
    assert cache.get_or_load("k", lambda: "value", ttl=600) == "value"
    assert other.get("k") == "value"
    assert sum(stats.drops for stats in (cache.get_stats() - before).tiers.values()) == 0
