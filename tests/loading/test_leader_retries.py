"""After a failed load a stale value counts as fresh for a while, unless it was dropped."""

import pytest

from greencache import MISSING, CacheManager, CacheTier
from greencache.options import EntryOptions
from greencache.testing import wait_until
from tests.loading.loaders import HeldLoader, ask, hear

OPTIONS = {"ttl": 10, "stale_ttl": 100, "retry_after": 5}


@pytest.fixture
def cache(clock):
    """A cache in memory."""
    with CacheManager(clock=clock) as cache:
        yield cache


def failing(then=None):
    """Return a loader that fails, after doing something."""

    def fail():
        if then is not None:
            then()
        raise LookupError("the source is down")

    return HeldLoader(fail, is_held=False)


def test_the_source_is_not_asked_again_before_it_may(cache, clock):
    """The stale value is fresh until then."""
    cache.set("k", "old", **OPTIONS)
    clock.advance(11)
    loader = failing()
    assert cache.get_or_load("k", loader, **OPTIONS) == "old"
    clock.advance(4.9)
    assert cache.get("k") == "old"
    assert cache.get_or_load("k", loader, **OPTIONS) == "old"
    assert loader.calls == 1
    clock.advance(0.2)
    assert cache.get("k", MISSING) is MISSING
    assert cache.get_or_load("k", loader, **OPTIONS) == "old"
    assert loader.calls == 2
    assert cache.get_or_load("k", lambda: "never", **OPTIONS) == "old"


def test_without_it_the_source_is_asked_each_time(cache, clock):
    """As before there was such an option."""
    cache.set("k", "old", ttl=10, stale_ttl=100)
    clock.advance(11)
    loader = failing()
    for _ in range(3):
        assert cache.get_or_load("k", loader) == "old"
    assert loader.calls == 3


def test_a_value_is_not_kept_longer_for_it(cache, clock):
    """It is gone when it always was to be."""
    cache.set("k", "old", ttl=10, stale_ttl=3)
    clock.advance(11)
    assert cache.get_or_load("k", failing(), ttl=10, stale_ttl=3, retry_after=1000) == "old"
    clock.advance(1.9)
    assert cache.get("k") == "old"
    clock.advance(0.2)
    with pytest.raises(LookupError):
        cache.get_or_load("k", failing(), retry_after=1000)


def test_where_there_is_nothing_stale_nothing_is_kept(cache):
    """The error is not cached."""
    with pytest.raises(LookupError):
        cache.get_or_load("k", failing(), **OPTIONS)
    assert cache.get_or_load("k", lambda: 1, **OPTIONS) == 1


def test_a_success_after_a_failure_is_stored(cache, clock):
    """With its own ttl."""
    cache.set("k", "old", **OPTIONS)
    clock.advance(11)
    cache.get_or_load("k", failing(), **OPTIONS)
    clock.advance(6)
    assert cache.get_or_load("k", lambda: "new", **OPTIONS) == "new"
    clock.advance(9)
    assert cache.get("k") == "new"


def test_the_values_of_a_failed_batch_are_not_asked_for_again(cache, clock):
    """Each of them."""
    cache.mset({"a": "old", "b": "old"}, **OPTIONS)
    clock.advance(11)
    loader = failing()
    options = OPTIONS
    assert cache.get_or_load_many(["a", "b"], lambda _: loader(), **options) == {"a": "old", "b": "old"}
    assert cache.get_or_load_many(["b", "a"], lambda _: loader(), **options) == {"a": "old", "b": "old"}
    assert loader.calls == 1


def test_a_failed_reload_ahead_of_expiry_is_not_tried_again_before_it_may(cache, clock):
    """Each hit would start another one."""
    options = {"ttl": 100, "refresh_ahead": 0.5, "retry_after": 20}
    cache.set("k", "old", **options)
    clock.advance(60)
    loader = failing()
    assert cache.get_or_load("k", loader, **options) == "old"
    wait_until(lambda: cache._engine.peek("k").due_at == clock.now() + 20, reason="the reload has failed")
    for _ in range(3):
        clock.advance(5)
        assert cache.get_or_load("k", loader, **options) == "old"
    _settle(cache)
    assert loader.calls == 1
    clock.advance(6)
    assert cache.get_or_load("k", loader, **options) == "old"
    wait_until(lambda: loader.calls == 2, reason="it is tried again")


@pytest.mark.parametrize(
    "forget",
    [
        lambda cache: cache.invalidate("k"),
        lambda cache: cache.invalidate(pattern="k"),
        lambda cache: cache.invalidate(tags=["t"]),
        lambda cache: cache.clear(),
    ],
    ids=["key", "pattern", "tag", "clear"],
)
@pytest.mark.parametrize("where", ["memory", "here", "elsewhere"])
def test_a_value_dropped_while_its_load_fails_is_not_revived(pair, clock, forget, where):
    """The caller gets it, since it asked before; nobody else does."""
    if where == "memory":
        cache = other = CacheManager(clock=clock)
    else:
        cache, other = pair(clock=clock)
        other = cache if where == "here" else other
    cache.set("k", "old", tags=["t"], **OPTIONS)
    clock.advance(11)
    loader = HeldLoader(LookupError())
    answer = ask(cache.get_or_load, "k", loader, tags=["t"], **OPTIONS)
    loader.await_begun()
    forget(other)
    if other is not cache:
        hear(cache, other)
    loader.release()
    assert answer.result(10) == "old"
    for reader in (cache, other):
        assert reader.get("k", MISSING) is MISSING
        with pytest.raises(LookupError):
            reader.get_or_load("k", failing(), **OPTIONS)


def test_a_value_dropped_between_the_look_and_the_lease_is_not_revived(pair, clock):
    """The lease proves nothing of what was found before it was taken."""
    cache, other = pair(clock=clock, l1=False)
    cache.set("k", "old", **OPTIONS)
    clock.advance(11)
    tier = cache._engine.stack.shared[-1].tier
    reserve = tier.reserve_and_get

    def dropped_before(keys):
        tier.reserve_and_get = reserve
        other.invalidate("k")
        return reserve(keys)

    tier.reserve_and_get = dropped_before
    assert cache.get_or_load("k", failing(), **OPTIONS) == "old"
    assert other.get("k", MISSING) is MISSING
    assert cache.get("k", MISSING) is MISSING


def test_a_value_set_while_a_load_fails_is_kept(pair, clock):
    """It is newer than the stale one."""
    cache, other = pair(clock=clock)
    cache.set("k", "old", **OPTIONS)
    clock.advance(11)
    loader = failing(lambda: other.set("k", "set", **OPTIONS))
    assert cache.get_or_load("k", loader, **OPTIONS) == "old"
    hear(cache, other)
    assert cache.get("k") == "set"
    assert other.get("k") == "set"


def test_no_process_asks_the_source_again_before_it_may(make_cache, redis_servers, redis_url, clock):
    """On this host, or on another one; each tier has the value for so long."""
    host = redis_servers().url
    cache, neighbour, elsewhere = (
        make_cache({"l2": url, "l3": redis_url}, clock=clock, bus=False)
        for url in (host, host, redis_servers().url)
    )
    cache.set("k", "old", **OPTIONS)
    assert neighbour.get("k") == "old"
    assert elsewhere.get("k") == "old"
    clock.advance(11)
    loader = failing()
    assert cache.get_or_load("k", loader, **OPTIONS) == "old"
    assert neighbour.get_or_load("k", loader, **OPTIONS) == "old"
    assert elsewhere.get_or_load("k", loader, **OPTIONS) == "old"
    assert loader.calls == 1
    for tier in cache._engine.stack.shared:
        assert list(tier.look(["k"])[0]) == ["k"], f"{tier.name} has it fresh"
    clock.advance(5.1)
    for reader in (cache, neighbour, elsewhere):
        assert reader.get("k", MISSING) is MISSING


@pytest.mark.parametrize("deepest", [CacheTier.L1, CacheTier.L2])
def test_what_only_near_tiers_keep_is_revived_there(make_cache, redis_servers, redis_url, clock, deepest):
    """The tiers below have nothing of it."""
    cache = make_cache({"l2": redis_servers().url, "l3": redis_url}, clock=clock, bus=False)
    cache.set("k", "old", tier=deepest, **OPTIONS)
    clock.advance(11)
    loader = failing()
    for _ in range(3):
        assert cache.get_or_load("k", loader, tier=deepest, **OPTIONS) == "old"
    assert loader.calls == 1


def test_postgres_alone_does_the_same(make_cache, postgres_url, clock):
    """By the lease in the row."""
    cache, other = (make_cache({"l4": postgres_url}, clock=clock, l1=False) for _ in range(2))
    cache.set("k", "old", **OPTIONS)
    clock.advance(11)
    loader = failing()
    assert cache.get_or_load("k", loader, **OPTIONS) == "old"
    assert other.get_or_load("k", loader, **OPTIONS) == "old"
    assert loader.calls == 1
    clock.advance(6)
    loader = failing(lambda: other.invalidate("k"))
    assert cache.get_or_load("k", loader, **OPTIONS) == "old"
    assert other.get("k", MISSING) is MISSING


def test_it_may_be_the_default_of_the_cache(clock):
    """And is then in force for all loads."""
    with CacheManager(clock=clock, defaults=EntryOptions(**OPTIONS)) as cache:
        cache.set("k", "old")
        clock.advance(11)
        loader = failing()
        for _ in range(3):
            assert cache.get_or_load("k", loader) == "old"
        assert loader.calls == 1


def _settle(cache):
    background = cache._engine.reader.background
    wait_until(lambda: not background._unfinished, reason="nothing runs in the background")
