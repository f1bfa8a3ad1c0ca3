"""All tiers together, on real servers."""

import pytest

from greencache import MISSING, CacheTier
from greencache.errors import EncodeError
from greencache.testing import wait_until

KEYS = ["factor:Zürich:CO₂", "a,b (c)", "≤1980", "user:*", "{x}", "nul\0"]


def hits(cache):
    """Return the hits of each tier so far."""
    return {tier.name: stats.hits for tier, stats in cache.get_stats().tiers.items()}


def test_a_value_set_by_one_process_is_read_by_all(deep_fleet):
    """On the same host from L2, on another from L3, and from L1 ever after."""
    writer, neighbour, stranger = deep_fleet.cache(), deep_fleet.cache(), deep_fleet.elsewhere()
    writer.mset({key: [key, 1.5] for key in KEYS})
    for reader, tier in ((writer, "L1"), (neighbour, "L2"), (stranger, "L3")):
        assert reader.mget(KEYS) == {key: [key, 1.5] for key in KEYS}
        assert hits(reader)[tier] == len(KEYS)

    def is_served_by_l1():
        assert stranger.mget(KEYS).keys() == set(KEYS)
        return hits(stranger)["L1"] == len(KEYS)

    # The announcement of the write may arrive after the first read, and then L1 is filled by the second.
    wait_until(is_served_by_l1, reason="L1 has been filled")


def test_what_is_only_in_postgresql_is_promoted_to_every_tier(deep_fleet):
    """L4 survives the loss of both Redis, and fills them again."""
    writer = deep_fleet.cache(l2=None, l3=None)
    writer.set("a", {"n": 1}, ttl=None)
    reader = deep_fleet.cache()
    assert reader.get("a") == {"n": 1}
    assert hits(reader)["L4"] == 1
    assert deep_fleet.cache().get("a") == {"n": 1}
    other = deep_fleet.elsewhere()
    assert other.get("a") == {"n": 1}
    assert hits(other)["L3"] == 1


def test_a_tier_limits_how_deep_a_value_is_kept(fleet):
    """`tier=CacheTier.L2` is this host's business: read here, absent elsewhere."""
    writer, neighbour, stranger = fleet.cache(), fleet.cache(), fleet.elsewhere()
    writer.set("a", 1, tier=CacheTier.L2)
    assert writer.get("a") == 1
    assert neighbour.get("a") == 1
    assert hits(neighbour)["L2"] == 1
    assert stranger.get("a", MISSING) is MISSING


def test_a_shallower_write_leaves_nothing_older_below(fleet):
    """What lies deeper would come back when the new value expires."""
    cache = fleet.cache()
    cache.set("a", "old")
    cache.set("a", "new", tier=CacheTier.L2)
    stranger = fleet.elsewhere()
    assert stranger.get("a", MISSING) is MISSING
    assert cache.get("a") == "new"


def test_a_deleted_key_is_gone_from_every_tier_at_once(deep_fleet):
    """In this process when `delete` returns, elsewhere when the announcement has arrived."""
    cache, neighbour = deep_fleet.cache(), deep_fleet.elsewhere()
    cache.set("a", 1)
    assert neighbour.get("a") == 1
    assert cache.delete("a") is True
    assert cache.get("a", MISSING) is MISSING
    wait_until(lambda: neighbour.get("a", MISSING) is MISSING, reason="the other host drops its copies")


def test_a_value_set_anew_replaces_the_copies_of_others(fleet):
    """A set is announced like a drop."""
    cache, neighbour = fleet.cache(), fleet.elsewhere()
    cache.set("a", 1)
    assert neighbour.get("a") == 1
    cache.set("a", 2)
    assert cache.get("a") == 2
    wait_until(lambda: neighbour.get("a") == 2, reason="the other host reads the new value")


@pytest.mark.parametrize("how", [{"pattern": "user:*"}, {"tags": ["users"]}])
def test_patterns_and_tags_reach_every_tier_and_process(deep_fleet, how):
    """What matches is gone everywhere, what does not stays everywhere."""
    cache, neighbour = deep_fleet.cache(), deep_fleet.elsewhere()
    cache.mset({"user:1": 1, "user:2": 2}, tags=["users"])
    cache.set("bystander", 3)
    assert neighbour.mget(["user:1", "bystander"]) == {"user:1": 1, "bystander": 3}
    cache.invalidate(**how)
    assert cache.mget(["user:1", "user:2", "bystander"]) == {"bystander": 3}
    wait_until(lambda: "user:1" not in neighbour.mget(["user:1"]), reason="the other host forgets")
    assert neighbour.mget(["user:1", "user:2", "bystander"]) == {"bystander": 3}
    assert deep_fleet.elsewhere().mget(["user:1", "user:2"]) == {}


def test_clear_forgets_one_namespace_and_no_other(deep_fleet):
    """And never flushes a server."""
    cache, neighbour = deep_fleet.cache(), deep_fleet.elsewhere()
    foreign = deep_fleet.cache(namespace="other")
    for each in (cache, foreign):
        each.mset({"a": 1, "b": 2})
    assert neighbour.get("a") == 1
    cache.clear()
    assert cache.mget(["a", "b"]) == {}
    wait_until(lambda: neighbour.mget(["a", "b"]) == {}, reason="the other host forgets")
    assert deep_fleet.cache(namespace="other").mget(["a", "b"]) == {"a": 1, "b": 2}


def test_each_tier_keeps_a_value_for_its_own_time(fleet):
    """Above the deepest tier an entry is fresh for at most the tier's ttl; at the deepest for its own."""
    cache = fleet.cache()
    cache.set("a", 1, ttl=1000)
    now = cache._engine.clock.now()
    left = [tier.tier.get_many(["a"])["a"].fresh_until - now for tier in cache._engine.stack.shared]
    assert cache._engine.peek("a").fresh_until - now == pytest.approx(60, abs=1)
    assert left == [pytest.approx(300, abs=1), pytest.approx(1000, abs=1)]


def test_a_value_that_cannot_be_encoded_is_refused_by_set_and_returned_by_a_load(fleet):
    """A write says so; a read must not fail for what its tiers cannot keep."""
    cache = fleet.cache()
    with pytest.raises(EncodeError):
        cache.set("a", object())
    made = object()
    assert cache.get_or_load("a", lambda: made) is made
    assert cache.get_or_load("a", lambda: None) is made
    assert cache.get_stats()["L3"].unencodable == 1


def test_a_value_too_large_for_a_tier_is_kept_where_it_fits(fleet):
    """And counted as refused where it does not."""
    cache = fleet.cache(l1="100KB")
    cache.set("a", "x" * 50_000)
    assert cache.get("a") == "x" * 50_000
    assert hits(cache)["L2"] == 1
    assert cache.get_stats()["L1"].refused_sizes >= 1


def test_bytes_that_are_no_entry_are_a_miss(fleet, redis_servers):
    """Whatever somebody wrote under a key of ours: counted, recorded, and loaded anew."""
    import redis

    with redis.Redis.from_url(fleet.l3) as server:
        cache = fleet.cache(l2=None)
        cache.set("a", 1)
        (name,) = server.keys("gc:v:*")
        server.set(name, b"\x80\x04\x95 not an entry")
    reader = fleet.cache(l2=None)
    assert reader.get_or_load("a", lambda: "loaded") == "loaded"
    assert reader.get_stats()["L3"].undecodable >= 1


def test_health_and_statistics_name_every_tier(deep_fleet):
    """Status, latency and hit rate of each."""
    cache = deep_fleet.cache()
    cache.get_or_load("a", lambda: 1)
    cache.get("a")
    report = cache.health_check()
    assert report.status == "up"
    assert [tier.name for tier in report.tiers] == ["L1", "L2", "L3", "L4"]
    for tier in report.tiers.values():
        assert tier.latency_ms is not None
        assert 0 <= tier.hit_rate <= 1
    assert cache.get_stats().as_dict()["tiers"].keys() == {"L1", "L2", "L3", "L4"}


def test_a_cache_may_have_any_subset_of_tiers(deep_fleet):
    """Without L1, without Redis, without PostgreSQL."""
    for names in ("l1", "l2", "l3", "l4", "l2 l3", "l1 l4"):
        missing = dict.fromkeys(names.split())
        cache = deep_fleet.cache(namespace="n" + "".join(missing), **missing)
        assert cache.get_or_load("a", lambda: 1, tags=["t"]) == 1
        assert cache.get("a") == 1
        cache.invalidate(tags=["t"])
        assert cache.get("a") is None
        cache.set("a", 2)
        assert cache.get("a") == 2
