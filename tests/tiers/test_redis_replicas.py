"""A cache that reads at replicas: nothing that it knows better comes from there, and no stale fill."""

import contextlib
import time

import pytest

from greencache import MISSING, CacheConfig, CacheManager
from greencache.backends.redis_names import RedisNames
from greencache.errors import ConfigurationError, InvalidationPending
from greencache.testing import wait_until
from tests.backends.replicated import Replicated, ask

pytestmark = pytest.mark.timeout(120)

KEY = "user:1"
VALUE = RedisNames("app").value(KEY)
NO_L1 = {"enabled": False}
LONG = 60.0
"""Seconds of bound, so that nothing but what a test is about keeps it from reading a replica."""

CHANGES = {
    "set": lambda cache: cache.set(KEY, "new", tags=["users"]),
    "delete": lambda cache: cache.delete(KEY),
    "pattern": lambda cache: cache.invalidate(pattern="user:*"),
    "tag": lambda cache: cache.invalidate(tags=["users"]),
    "clear": lambda cache: cache.clear(),
}


@pytest.fixture
def stack():
    """Closes what a test has made."""
    with contextlib.ExitStack() as stack:
        yield stack


@pytest.fixture
def servers(redis_servers, stack):
    """A primary and a replica whose link can be held up."""
    return Replicated(redis_servers, stack)


@pytest.fixture
def new_cache(stack, servers):
    """Make caches that stand for processes."""

    def make(bound=LONG, **settings):
        bus = {"max_staleness": LONG} if bound == LONG else {}
        l3 = {"url": servers.url, "replica_reads": bound}
        config = CacheConfig.from_mapping({"namespace": "app", "l3": l3, "bus": bus, **settings}, {})
        return stack.enter_context(CacheManager.from_config(config)).initialize(strict=True)

    return make


def tier_of(cache):
    """Return the tier that reads replicas."""
    return cache._engine.stack.authority.tier


def await_replica(cache, key=KEY):
    """Read until a replica answers, and return what it says."""
    hits = cache.get_stats()["L3"].replica_hits

    def is_answered():
        for group in tier_of(cache)._replicas._by_primary.values():
            group._due = -1.0  # a sample now, instead of when a part of the bound has passed
        if cache._engine.stack.memory is not None:
            cache._engine.stack.memory.drop_many([key])
        seen.append(cache.get(key, MISSING))
        return cache.get_stats()["L3"].replica_hits > hits

    seen = []
    wait_until(is_answered, deadline=30, reason="a replica is proved to be new enough")
    return seen[-1]


def await_heard(teller, hearer):
    """Wait until what one cache has announced is heard by another."""

    def has_marker():
        hearer.get_or_load("marker", lambda: 1)
        return "marker" in hearer._index  # a pattern heard meanwhile would have kept it out

    wait_until(has_marker, deadline=30, reason="L1 has the marker")
    teller.delete("marker")
    wait_until(lambda: "marker" not in hearer._index, deadline=30, reason="its drop is heard")


@pytest.mark.parametrize("change", CHANGES)
def test_own_changes_are_seen_at_once(servers, new_cache, change):
    """Though the replica has not got them, and may be read still."""
    cache = new_cache(l1=NO_L1)
    cache.set(KEY, "old", tags=["users"])
    assert await_replica(cache) == "old"
    servers.hold_links()
    CHANGES[change](cache)
    assert cache.get(KEY, MISSING) == ("new" if change == "set" else MISSING)
    assert ask(servers.replicas[0], "EXISTS", VALUE)


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_heard_is_seen_at_once(servers, new_cache, change):
    """And no later lease lets the old value into L1."""
    cache, other = new_cache(), new_cache(l1=NO_L1)
    other.set(KEY, "old", tags=["users"])
    assert await_replica(cache) == "old"
    servers.hold_links()
    CHANGES[change](other)
    await_heard(other, cache)
    for _ in range(3):
        assert cache.get(KEY, MISSING) == ("new" if change == "set" else MISSING)
    assert ask(servers.replicas[0], "EXISTS", VALUE)


def test_what_nobody_tells_is_seen_within_the_bound(servers, new_cache):
    """Without a bus, by a cache that reads a replica that gets nothing any more."""
    bound, deaf = 1.0, {"bus": {"enabled": False}, "l1": NO_L1}
    cache, other = new_cache(bound, **deaf), new_cache(bound, **deaf)
    other.set(KEY, "old")
    assert await_replica(cache) == "old"
    servers.hold_links()
    other.delete(KEY)
    forgotten = time.monotonic()
    late = []

    def is_over():
        started = time.monotonic()
        if cache.get(KEY, MISSING) == "old" and started > forgotten + bound:
            late.append(started - forgotten)
        return started > forgotten + 1.5 * bound

    wait_until(is_over, deadline=30, reason="the bound has passed")
    assert late == []
    assert ask(servers.replicas[0], "EXISTS", VALUE)


def test_a_hit_at_a_replica_goes_into_l1_and_no_further(servers, new_cache, redis_servers):
    """The host's Redis is told of a drop once; what came after that nobody would drop."""
    host = redis_servers()
    new_cache(l1=NO_L1).set(KEY, "value")
    servers.await_links()
    cache = new_cache(l2={"url": host.url})
    assert await_replica(cache) == "value"
    assert KEY in cache._index
    assert not ask(host, "EXISTS", VALUE)
    assert ask(host, "KEYS", "gc:l:*") == []


def test_a_dead_replica_costs_no_hit(servers, new_cache):
    """The primary is read instead, and nobody hears of an error."""
    cache = new_cache(l1=NO_L1)
    cache.set(KEY, "value")
    assert await_replica(cache) == "value"
    before = cache.get_stats()["L3"]
    servers.replicas[0].kill()
    assert [cache.get(KEY) for _ in range(20)] == ["value"] * 20
    spent = cache.get_stats()["L3"] - before
    assert (spent.hits, spent.errors, spent.replica_hits) == (20, 0, 0)


def test_a_miss_at_a_replica_is_looked_for_at_the_primary(servers, new_cache):
    """Before anything is loaded."""
    cache, other = new_cache(l1=NO_L1), new_cache(l1=NO_L1)
    other.set("other", 1)
    assert await_replica(cache, "other") == 1
    servers.hold_links()
    other.set(KEY, "value")
    assert cache.get_or_load(KEY, lambda: "loaded again") == "value"


def test_versions_never_go_back_over_a_failover(redis_sentinel, redis_sentinel_url, stack):
    """What a process has written it reads, or nothing, whoever answers."""
    settings = {
        "namespace": "app",
        "l1": NO_L1,
        "l3": {"url": redis_sentinel_url, "replica_reads": 1.0, "timeout": 1.0, "deadline": 2.0},
    }
    config = CacheConfig.from_mapping(settings, {})
    cache = stack.enter_context(CacheManager.from_config(config)).initialize(strict=True)
    written, back = dict.fromkeys(range(20), 0), []

    def go_round():
        for key, version in written.items():
            with contextlib.suppress(InvalidationPending):
                cache.set(f"k{key}", version + 1)
                written[key] = version + 1
        for key, version in list(written.items()) * 5:
            seen = cache.get(f"k{key}", version)
            if seen < version:
                back.append((key, seen, version))
        return cache.get_stats()["L3"].replica_hits

    wait_until(lambda: go_round() > 100, deadline=30, reason="replicas are read")
    old = redis_sentinel.primary
    old.kill()
    wait_until(lambda: go_round() and redis_sentinel.primary is not old, deadline=30, reason="a failover")
    hits = cache.get_stats()["L3"].replica_hits
    wait_until(lambda: go_round() > hits + 100, deadline=30, reason="the new primary's replicas are read")
    assert back == []


def test_settings_that_cannot_hold_are_refused():
    """A single server, and a bound beyond that of L1."""
    for url, bus, message in (
        ("redis://h", {}, r"redis\+sentinel:// or redis\+cluster://"),
        ("redis+cluster://h", {"max_staleness": "2s"}, "no longer than bus.max_staleness, got 3 s and 2 s"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            CacheConfig.from_mapping({"l3": {"url": url, "replica_reads": "3s"}, "bus": bus}, {})
