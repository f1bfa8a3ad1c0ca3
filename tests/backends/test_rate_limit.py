"""A process sends no more commands in a second than it may; what matters gets through in the end."""

import contextlib

import pytest

from greencache import CacheConfig, CacheManager, CacheTier
from greencache.backends.rate_limit import RateLimit
from greencache.backends.redis import RedisManager
from greencache.backends.retry import RateLimitedError
from greencache.errors import ConfigurationError, InvalidationPending, TierUnavailableError
from greencache.testing import FakeClock, wait_until

SET = ("SET", "key", "value")
GET = (b"GET", b"key")


@pytest.fixture
def clock():
    """A clock that stands still."""
    return FakeClock()


def admitted(limit, command, most=1_000):
    """Return how many commands pass before one is refused."""
    for count in range(most):
        try:
            limit.admit([command], "server")
        except RateLimitedError:
            return count
    return most


def test_a_seconds_worth_passes_at_once_and_then_as_much_as_time_allows(clock):
    """And what was not used for long does not add up."""
    limit = RateLimit(100, clock)
    assert admitted(limit, SET) == 100
    clock.advance(0.25)
    assert admitted(limit, SET) == 25
    clock.advance(3_600)
    assert admitted(limit, SET) == 100


def test_reads_leave_a_tenth_to_all_else(clock):
    """However often they are tried: what waits to be dropped is not starved by them."""
    limit = RateLimit(100, clock)
    assert admitted(limit, GET) == 90
    assert admitted(limit, SET) == 10
    for _ in range(50):
        clock.advance(0.01)
        assert admitted(limit, GET) == 0
        assert admitted(limit, SET) == 1


def test_a_batch_passes_as_a_whole_and_is_paid_for_afterwards(clock):
    """Half a batch would be worse than none."""
    limit = RateLimit(100, clock)
    batch = [SET] * 250
    assert limit.admit(iter(batch), "server") == batch
    clock.advance(1.0)
    assert admitted(limit, SET) == 0
    clock.advance(1.0)
    assert admitted(limit, SET) == 50


@pytest.mark.parametrize("rate", [0, 0.5, -1, float("nan"), float("inf")])
def test_a_limit_that_lets_nothing_through_is_refused(rate):
    """When the manager is made."""
    with pytest.raises(ConfigurationError, match="max_calls_per_second of 1 or more"):
        RedisManager("redis://127.0.0.1:1", max_calls_per_second=rate)


@pytest.fixture(params=["redis_url", "redis_sentinel_url", "redis_cluster_url"])
def url(request):
    """Each topology, empty."""
    return request.getfixturevalue(request.param)


def test_no_command_is_sent_beyond_it(url, clock):
    """In whatever way it is asked for; the breaker stays closed, for the server is well."""
    with RedisManager(url, max_calls_per_second=10, clock=clock) as manager:
        for _ in range(10):
            manager.execute(*SET)
        for call in (
            lambda: manager.execute(*GET),
            lambda: manager.execute_many([SET, GET]),
            lambda: manager.execute_many([SET, GET], partial=True),
        ):
            with pytest.raises(TierUnavailableError, match="10 commands in the last second"):
                call()
        assert not manager.is_open
        assert manager.check().up
        clock.advance(1.0)
        assert manager.execute(*GET) == b"value"


def test_beyond_it_reads_are_misses_and_drops_wait_but_none_is_lost(url, clock):
    """As in an outage; both are counted, and the value is gone before anybody reads the tier again."""
    settings = {"namespace": "limited", "l1": {"enabled": False}}
    limited = CacheConfig(l3={"url": url, "max_calls_per_second": 40}, **settings)
    free = CacheConfig(l3={"url": url}, **settings)
    with (
        CacheManager.from_config(free) as other,
        CacheManager.from_config(limited, clock=clock) as cache,
    ):
        wait_until(lambda: connects(other), deadline=60, reason="the other is connected")
        other.set("key", "value")
        assert other.get("key") == "value"
        found = [cache.get("key") for _ in range(60)]
        assert found[0] == "value"
        assert found[-1] is None
        assert cache.get_stats()["L3"].limited > 0
        assert "key:key" in drop_until_it_waits(cache)

        def is_made_up_for():
            clock.advance(0.5)
            return not cache.health_check().tiers[CacheTier.L3].waiting and other.get("key") is None

        wait_until(is_made_up_for, deadline=60, reason="the drop is made")


def connects(cache):
    """Return whether a cache has reached its servers."""
    with contextlib.suppress(TierUnavailableError):
        return bool(cache.initialize(strict=True))
    return False


def drop_until_it_waits(cache):
    """Drop a key again and again until that is refused, and return what waits."""
    for _ in range(1_000):
        try:
            cache.invalidate("key")
        except InvalidationPending as error:
            return [drop for drops in error.pending.values() for drop in drops]
    raise AssertionError("a thousand drops passed")
