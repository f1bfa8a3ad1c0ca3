"""What callers see while a server is away, and when it is back."""

import itertools
import operator
import threading
import time

import pytest
import redis

from greencache import MISSING, CacheAside, CacheManager
from greencache.backends.redis_names import RedisNames
from greencache.config import CacheConfig
from greencache.errors import InvalidationPending, TierUnavailableError
from greencache.testing import wait_until

pytestmark = pytest.mark.faults


@pytest.fixture
def servers(redis_servers):
    """L2 and L3."""
    return redis_servers(), redis_servers()


@pytest.fixture
def cache(servers):
    """A cache over both."""
    with neighbour(servers) as cache:
        yield cache.initialize(strict=True)


def neighbour(servers, **options):
    """Return a cache of another process on the same host, which gives up on a hung server after a second."""
    server = {"timeout": 1.0, "deadline": 1.0, "retry": {"retries": 1}}
    tiers = {name: server | {"url": each.url} for name, each in zip(("l2", "l3"), servers, strict=True)}
    return CacheManager.from_config(CacheConfig.model_validate({"namespace": "outage", **tiers}), **options)


def test_reads_go_on_without_any_redis(servers, cache, figure):
    """Every call returns the loader's value, and none raises."""
    for server in servers:
        server.kill()
    served = [cache.get_or_load(f"k{n}", lambda n=n: n) for n in range(20)]
    figure(14, "reads served by the loader, of 20", sum(map(operator.eq, served, range(20))), bound="== 20")
    assert cache.get("other", MISSING) is MISSING
    assert cache.get_or_load_many(["k1", "x"], lambda keys: dict.fromkeys(keys, 7)) == {"k1": 1, "x": 7}


def test_a_lost_l3_leaves_l2_serving(servers, cache):
    """What the host has is still read from it, by other processes too."""
    cache.set("a", 1)
    servers[1].kill()
    with neighbour(servers) as other:
        assert other.get_or_load("b", lambda: 2) == 2
    assert cache.get("a") == 1


def test_an_invalidation_during_an_outage_says_what_is_pending_and_is_replayed(servers, cache):
    """The tier cannot bring back what was dropped while it was away."""
    l3 = servers[1]
    cache.set("a", "old")
    l3.pause()
    with pytest.raises(InvalidationPending) as caught:
        cache.invalidate("a")
    assert caught.value.pending == {"L3": ("key:a",)}
    assert cache.get("a", MISSING) is MISSING
    assert cache.health_check()["L3"].waiting == ("key:a",)
    l3.resume()
    wait_until(lambda: _is_replayed(cache), deadline=40, reason="the drop is replayed")
    assert cache.get("a", MISSING) is MISSING
    with CacheManager.from_urls(l3=l3.url, namespace="outage") as other:
        assert other.get("a", MISSING) is MISSING


def _is_replayed(cache, tier="L3"):
    cache.get("anything")
    return cache.health_check()[tier].waiting == ()


def test_tags_invalidated_during_an_outage_stay_invalidated(servers, cache):
    """The new stamp is current here at once, and everywhere when the authority is back."""
    l3 = servers[1]
    cache.set("a", "old", tags=["t"])
    l3.pause()
    with pytest.raises(InvalidationPending):
        cache.invalidate(tags=["t"])
    assert cache.get("a", MISSING) is MISSING
    l3.resume()
    wait_until(lambda: _is_replayed(cache), deadline=40, reason="the stamp is replaced")
    with CacheManager.from_urls(l3=l3.url, namespace="outage") as other:
        assert other.get("a", MISSING) is MISSING


def test_a_server_that_restarts_empty_takes_nothing_old_along(servers, cache):
    """The lost log is noticed, L1 and L2 are forgotten, and caching goes on."""
    cache.set("a", 1)
    servers[1].kill()
    servers[1].start()
    names = map("b{}".format, itertools.count())

    def is_cached_again():
        # Each time another key: what was loaded while L3 was away stays in L1, and asks L3 no more.
        name = next(names)
        cache.get_or_load(name, lambda: 2)
        return cache.get_stats()["L3"].fills > 0 and cache.get_or_load(name, lambda: 3) == 2

    wait_until(is_cached_again, deadline=40, reason="L3 is filled again")
    wait_until(lambda: cache.get("a", MISSING) is MISSING, reason="the lost log is noticed")


def test_what_others_announced_is_not_announced_again_when_it_is_replayed(servers, cache, redis_servers):
    """Else all processes of a host would keep each other replaying, long after their server is back."""
    host, shared = servers
    with neighbour((redis_servers(), shared)) as elsewhere, redis.Redis.from_url(shared.url) as admin:
        host.kill()
        elsewhere.invalidate("a")
        elsewhere.invalidate(pattern="b*")
        expected = ("key:a", "pattern:b*")
        wait_until(lambda: cache.health_check()["L2"].waiting == expected, reason="the drops wait")
        announced = admin.xlen(RedisNames("outage").bus)
        host.start()
        wait_until(lambda: _is_replayed(cache, "L2"), deadline=40, reason="the drops are replayed")
        assert admin.xlen(RedisNames("outage").bus) == announced
        cache.set("a", 2)
        host.kill()
        with pytest.raises(InvalidationPending):
            cache.invalidate("a")
        announced = admin.xlen(RedisNames("outage").bus)
        host.start()
        wait_until(lambda: _is_replayed(cache, "L2"), deadline=40, reason="the drop is replayed")
        assert admin.xlen(RedisNames("outage").bus) > announced  # its own


def test_a_host_that_is_back_is_used_although_the_authority_is_away(servers, cache):
    """What it had missed is made up for; that it cannot be announced yet is no outage of its own."""
    host, shared = servers
    cache.set("a", "old")
    host.kill()
    with pytest.raises(InvalidationPending):
        cache.invalidate("a")
    shared.kill()
    host.start()
    wait_until(lambda: _is_replayed(cache, "L2"), deadline=40, reason="the drop is replayed")
    report = cache.health_check()
    assert (report["L2"].status, report["L2"].waiting, report["L3"].waiting) == ("up", (), ("key:a",))
    shared.start()
    wait_until(lambda: _is_replayed(cache), deadline=40, reason="it is announced")
    with redis.Redis.from_url(shared.url) as admin:
        assert admin.xlen(RedisNames("outage").bus) > 0


def test_an_outage_is_noticed_only_where_it_is(servers, cache):
    """Health names the tier that is down, and the whole is degraded."""
    servers[1].kill()
    cache.get("a")
    report = cache.health_check()
    assert report.status == "degraded"
    assert (report["L2"].status, report["L3"].status) == ("up", "down")
    assert report["L3"].error


def test_an_unreachable_server_at_start_is_an_error_only_when_strict(servers):
    """Without `strict` the cache is degraded, says so, and works."""
    servers[1].kill()
    with neighbour(servers) as cache:
        cache.initialize()
        assert cache.get_or_load("a", lambda: 1) == 1
        with pytest.raises(TierUnavailableError, match="L3 is out of reach"):
            cache.initialize(strict=True)


def test_l1_serves_what_it_has_while_the_authority_is_away(servers, cache):
    """Past max_staleness with nobody to vouch for it, counted as degraded."""
    cache.set("a", 1, ttl=None)
    for server in servers:
        server.kill()
    wait_until(
        lambda: cache.get("a") == 1 and cache.get_stats().loads.degraded > 0, reason="trust has lapsed"
    )
    assert cache.get_or_load("a", lambda: 2) == 1


def test_who_wants_it_strictly_is_served_nothing_unproved_in_an_outage(servers):
    """Neither from L1 nor from L2: what others have forgotten meanwhile could not have been heard."""
    with neighbour(servers, strategy=CacheAside(serve_unproved=False)) as cache:
        cache.initialize(strict=True)
        cache.set("a", 1, ttl=None)
        servers[1].kill()
        wait_until(lambda: cache.get("a", MISSING) is MISSING, reason="trust has lapsed")
        assert cache.get_or_load("a", lambda: 2) == 2
        with pytest.raises(ZeroDivisionError):
            cache.get_or_load("a", lambda: 1 / 0)
        assert "not believed" in cache.explain("a")["L1"].verdict
        assert cache.get_stats().loads.degraded == 0


def test_a_listener_cut_off_stops_trusting_l1(servers, cache, figure):
    """A hung authority is noticed within max_staleness, and L1 no longer vouches for what it holds."""
    cache.set("a", 1)
    servers[1].pause()
    try:
        bus = cache._engine.bus
        now = cache._engine.clock.now
        hung = time.monotonic()
        wait_until(lambda: bus.trusted_until < now(), deadline=5, reason="trust lapses")
        figure(15, "L1 believed after the authority hung", time.monotonic() - hung, "s", "<= 2.1")
    finally:
        servers[1].resume()


def test_threads_see_no_error_while_l3_dies_and_returns(servers, cache, figure):
    """Readers go on through the loss and the return of L3 without one exception."""
    stop, errors, reads = threading.Event(), [], [0] * 4

    def read(index):
        while not stop.is_set():
            try:
                assert cache.get_or_load(f"k{reads[index] % 50}", lambda: "v") == "v"
            except Exception as error:
                errors.append(repr(error))
            reads[index] += 1

    threads = [threading.Thread(target=read, args=(index,), daemon=True) for index in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: min(reads) > 100, reason="readers are warm")
    servers[1].kill()
    before = min(reads)
    wait_until(lambda: min(reads) > before + 100, deadline=20, reason="readers go on without L3")
    servers[1].start()
    wait_until(lambda: cache.health_check()["L3"].status == "up", deadline=20, reason="L3 is back")
    before = min(reads)
    wait_until(lambda: min(reads) > before + 100, deadline=20, reason="readers go on with L3")
    stop.set()
    for thread in threads:
        thread.join(10)
    figure(14, "errors that readers saw while L3 died and returned", len(errors), bound="== 0", errors=errors)


def test_every_part_of_an_invalidation_is_done_or_queued(servers, cache):
    """A tier that is away for the keys does not keep the pattern and the tags from being dropped."""
    l3 = servers[1]
    cache.set("x", "old")
    cache.set("z:1", "old")
    cache.set("y", "old", tags=["t"])
    l3.pause()
    with pytest.raises(InvalidationPending) as caught:
        cache.invalidate("x", pattern="z:*", tags=["t"])
    assert set(caught.value.pending["L3"]) == {"key:x", "pattern:z:*", "stamp:t"}
    l3.resume()
    wait_until(lambda: _is_replayed(cache), deadline=40, reason="all is replayed")
    with CacheManager.from_urls(l3=l3.url, namespace="outage") as other:
        assert other.mget(["x", "y", "z:1"]) == {}


def test_a_queued_drop_is_replayed_although_nobody_asks(servers, cache):
    """Others must not wait until this process needs the tier again."""
    l3 = servers[1]
    cache.set("a", "old")
    l3.pause()
    with pytest.raises(InvalidationPending):
        cache.invalidate("a")
    l3.resume()
    with CacheManager.from_urls(l3=l3.url, namespace="outage") as other:
        wait_until(lambda: other.get("a", MISSING) is MISSING, deadline=40, reason="the drop is replayed")


def test_a_drop_that_is_lost_with_the_process_is_told(servers):
    """Closing tries once more, and then says what was lost."""
    events = []

    class Notes:
        def record(self, event):
            events.append(event)

    _, l3 = servers
    cache = neighbour(servers, recorder=Notes())
    cache.initialize(strict=True).set("a", "old")
    l3.kill()
    with pytest.raises(InvalidationPending):
        cache.invalidate("a")
    cache.close()
    lost = [event for event in events if event.kind == "invalidation_lost"]
    assert [event.detail["lost"] for event in lost] == [("key:a",)]


def test_a_refusal_of_the_server_is_a_miss_and_no_outage(servers, cache):
    """Somebody else's data under a name of ours: reads miss, a write says that it is not announced."""
    with redis.Redis.from_url(servers[1].url) as server:
        server.delete("gc:b:{outage}")
        server.set("gc:b:{outage}", "no stream")
        with pytest.raises(InvalidationPending):
            cache.invalidate("a")
        assert cache.get_or_load("a", lambda: 1) == 1
        server.delete("gc:b:{outage}")
    wait_until(lambda: _is_replayed(cache), deadline=40, reason="the announcement is made up for")


def test_a_value_dropped_elsewhere_does_not_stand_in_for_a_failing_loader(servers, cache):
    """What L1 cannot vouch for is not served as stale while the authority could be asked."""
    with neighbour(servers) as other:
        cache.set("a", "old", ttl=None)
        cache._engine.bus.close()
        other.invalidate("a")
        with pytest.raises(LookupError):
            cache.get_or_load("a", _fail)


def _fail():
    raise LookupError("the source is away")


def test_a_server_that_takes_no_writes_is_read_on(servers, cache):
    """A drop that waits for it hides what it is about, and no more."""
    l3 = servers[1]
    cache.mset({"a": "old", "b": 1})
    only = CacheManager.from_urls(l1=None, l3=l3.url, namespace="outage")
    with redis.Redis.from_url(l3.url) as server, only as other:
        server.execute_command("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(InvalidationPending):
            other.invalidate("a")
        assert other.get_or_load("b", _fail) == 1
        assert other.get("a", MISSING) is MISSING
        assert other.mget(["a", "b"]) == {"b": 1}
        server.execute_command("REPLICAOF", "NO", "ONE")
        wait_until(lambda: _is_replayed(other), deadline=40, reason="the drop is replayed")
        assert other.get("a", MISSING) is MISSING
