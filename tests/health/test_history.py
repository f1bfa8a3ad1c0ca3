"""The last hour of a cache's tiers."""

import dataclasses
import pathlib
import subprocess
import sys

import pytest
import redis

from greencache import CacheManager, HealthOptions, InvalidOptionError, TierUnavailableError
from greencache.config import CacheConfig
from greencache.health.monitor import shared_monitor
from greencache.testing import FakeClock, wait_until
from greencache.tiers.tokens import process_name
from greencache.typing import CacheTier

L2, L3, L4 = CacheTier.L2, CacheTier.L3, CacheTier.L4


@pytest.fixture
def clock():
    """A clock of the test's."""
    return FakeClock()


@pytest.fixture
def new_cache(clock):
    """Make caches that are closed when the test ends."""
    caches = []

    def make(interval="30s", **tiers):
        config = CacheConfig(namespace="shop", health={"interval": interval}, **tiers)
        caches.append(CacheManager.from_config(config, clock=clock))
        return caches[-1]

    yield make
    for cache in caches:
        cache.close()


def check_after(clock, cache, seconds=30.0, count=1):
    """Let time pass until the cache's tiers have been checked so often."""
    clock.advance(seconds)
    shared_monitor().nudge()
    wait_until(
        lambda: all(len(samples) >= count for samples in cache.health_history().values()),
        reason="every tier was checked",
        deadline=30,
    )


def test_every_server_is_checked_in_the_background(new_cache, clock, redis_servers, postgres_url):
    """From the first call that goes beyond L1 on; L1 is memory and needs none."""
    l3 = redis_servers(maxmemory="100mb", maxmemory_policy="allkeys-lru")
    cache = new_cache(l2={"url": redis_servers().url}, l3={"url": l3.url}, l4={"url": postgres_url})
    cache.set("a", 1)
    assert cache.health_history() == {L2: (), L3: (), L4: ()}
    check_after(clock, cache)
    with redis.Redis.from_url(l3.url) as client:
        for name in ("gc:none", "gc:none", "gc:none", *client.keys("gc:s:*")[:1]):
            client.exists(name)
            client.type(name)
    check_after(clock, cache, count=2)
    history = cache.health_history()
    (sample,) = history[L3][-1:]
    assert (sample.status, sample.role, sample.error) == ("up", "master", "")
    assert sample.at == clock.wall()
    assert sample.used_memory > 0
    assert sample.max_memory == 100 * 1024 * 1024
    assert sample.connected_clients > 0
    assert sample.evicted_keys == 0
    assert sample.is_persisting
    assert 0 <= history[L3][1].hit_rate < 1
    assert history[L4][0].latency_ms >= 0
    assert history[L4][0].used_memory is None


def test_an_outage_is_in_the_history_and_ends_nothing(new_cache, clock, redis_servers):
    """The check after it is well again."""
    server = redis_servers()
    cache = new_cache(l3={"url": server.url})
    cache.set("a", 1)
    check_after(clock, cache)
    server.kill()
    check_after(clock, cache, count=2)
    server.start()
    check_after(clock, cache, count=3)
    assert [sample.status for sample in cache.health_history()[L3]] == ["up", "down", "up"]
    assert cache.health_history()[L3][1].error


def test_caches_on_the_same_server_share_its_checks(new_cache, clock, redis_servers):
    """One check, whoever asks for the history; it goes on when one is closed."""
    server = redis_servers()
    first, second = (new_cache(l3={"url": server.url}) for _ in range(2))
    with redis.Redis.from_url(server.url) as client:
        for cache in (first, second):
            cache.set("a", 1)
        check_after(clock, first)
        asked = client.info("commandstats")["cmdstat_info"]["calls"]
        check_after(clock, first, count=2)
        # That of the check, and this test's own.
        assert client.info("commandstats")["cmdstat_info"]["calls"] == asked + 2
    assert first.health_history()[L3] == second.health_history()[L3]
    first.close()
    assert first.health_history() == {}
    check_after(clock, second, count=3)


def test_the_fleet_finds_what_each_process_has_found(new_cache, clock, redis_servers):
    """In the deepest Redis, for an hour, each sample once; an outage of it is told when it is over."""
    server, host = redis_servers(), redis_servers()
    cache = new_cache(l2={"url": host.url}, l3={"url": server.url, "timeout": "3s", "deadline": "3s"})
    assert cache.fleet_health_history() == {}
    cache.set("a", 1)
    check_after(clock, cache)
    server.pause()
    check_after(clock, cache, count=2)
    with pytest.raises(TierUnavailableError):
        cache.fleet_health_history()
    server.resume()
    clock.advance(5.0)  # the breaker lets it be tried again
    check_after(clock, cache, count=3)
    wait_until(
        lambda: len(cache.fleet_health_history().get(process_name(), {}).get(L2, ())) == 3,
        reason="all was shared",
    )
    found = cache.fleet_health_history()
    assert found.keys() == {process_name()}
    assert found[process_name()] == cache.health_history()
    assert [sample.status for sample in found[process_name()][L3]] == ["up", "down", "up"]
    other = new_cache(interval="0s", l3={"url": server.url})
    assert other.fleet_health_history() == found
    with redis.Redis.from_url(server.url) as client:
        keys = client.keys("gc:h:*")
        assert len(keys) == 3
        assert all(3_000 < client.ttl(key) <= 3_600 for key in keys)
        name = next(key for key in keys if key.endswith(b"L3"))
        client.rpush(name, *client.lrange(name, 0, -1), "spoilt")
    assert other.fleet_health_history() == found


def test_who_said_nothing_for_an_hour_is_forgotten(new_cache, clock, redis_servers):
    """Its lists end by themselves, and its name goes when others add theirs."""
    server = redis_servers()
    cache = new_cache(l3={"url": server.url})
    cache.set("a", 1)
    with redis.Redis.from_url(server.url) as client:
        client.zadd("gc:h:{shop}", {"gone:1:L3": clock.wall() - 3_600, "late:2:L3": clock.wall() - 3_000})
        check_after(clock, cache)
        wait_until(lambda: client.zcard("gc:h:{shop}") == 2, reason="one came and one went")
        assert client.zscore("gc:h:{shop}", "gone:1:L3") is None


def test_an_interval_of_nothing_is_no_check(new_cache, redis_servers):
    """And no thread; a cache made by hand has none either."""
    cache = new_cache(interval="0s", l3={"url": redis_servers().url})
    cache.set("a", 1)
    assert cache.health_history() == {}
    with CacheManager() as by_hand:
        assert by_hand.health_history() == {}
    with pytest.raises(InvalidOptionError):
        HealthOptions(interval=-1)


def test_a_tier_that_is_slow_is_degraded(redis_servers):
    """Beyond `max_latency`; that is no reason to refuse a start."""
    config = CacheConfig(l3={"url": redis_servers().url}, health={"max_latency": "1ms", "interval": "1h"})
    with CacheManager.from_config(config) as cache:
        cache.initialize(strict=True)
        watch = cache._engine.watch
        report = cache._engine._examine()
        slow = dataclasses.replace(report["L3"], latency_ms=134.0)
        tiers = {**report.tiers, L3: slow}
        judged = watch.complete(dataclasses.replace(report, tiers=tiers))
        assert (judged["L3"].status, judged.status) == ("degraded", "degraded")
        assert judged["L3"].error == "it takes 134 ms for an answer, more than 1 ms"
        assert judged["L1"].status == "up"


def test_the_hit_rate_of_late_is_part_of_the_report(new_cache, clock, redis_servers):
    """Since the last check in the background; without one, None."""
    server = redis_servers()
    cache = new_cache(l3={"url": server.url})
    cache.set("a", 1)
    assert cache.health_check()["L3"].recent_hit_rate is None
    check_after(clock, cache)
    with redis.Redis.from_url(server.url) as client:
        client.set("found", 1)
        for _ in range(30):
            client.get("found")
            client.get("none")
    assert 0.3 < cache.health_check()["L3"].recent_hit_rate < 0.7


def test_under_gevent_it_is_a_greenlet(redis_servers):
    """While it waits and while it asks, others run."""
    script = pathlib.Path(__file__).with_name("gevent_health.py")
    pytest.importorskip("gevent")
    done = subprocess.run(
        [sys.executable, script, redis_servers().url], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "checked\n"), done.stderr
