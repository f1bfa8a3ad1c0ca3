"""What does not exist is remembered for `negative_ttl`, in every tier."""

import pytest

from greencache import MISSING, CacheManager, current_load
from greencache.options import EntryOptions
from greencache.testing import wait_until
from tests.loading.loaders import HeldLoader, ask, await_joined, hear


class Source:
    """A source that has some keys, and remembers what it was asked for."""

    def __init__(self, **values):
        self.values = values
        self.asked = []

    def __call__(self, keys):
        """Return what there is."""
        self.asked.append(list(keys))
        return {key: self.values[key] for key in keys if key in self.values}


@pytest.fixture(params=["memory", "redis", "postgres", "all"])
def caches(request, clock, make_cache):
    """A cache, and another process's over the same servers (in memory: the same)."""
    if request.param == "memory":
        cache = make_cache({}, clock=clock)
        return cache, cache
    urls = {}
    if request.param in {"redis", "all"}:
        urls["l3"] = request.getfixturevalue("redis_url")
    if request.param in {"postgres", "all"}:
        urls["l4"] = request.getfixturevalue("postgres_url")
    return tuple(make_cache(urls, clock=clock, bus=False) for _ in range(2))


def test_a_none_is_kept_as_long_as_nothing_is(caches, clock):
    """Not for the ttl of values."""
    cache, other = caches
    loader = HeldLoader(None, is_held=False)
    for reader in (cache, other, cache):
        assert reader.get_or_load("k", loader, ttl=100, negative_ttl=5) is None
    assert cache.get("k", MISSING) is None
    assert loader.calls == 1
    clock.advance(5.1)
    assert other.get("k", MISSING) is MISSING
    assert other.get_or_load("k", lambda: "there now", ttl=100, negative_ttl=5) == "there now"
    clock.advance(50)
    assert other.get("k") == "there now"


def test_keys_that_a_loader_of_many_leaves_out_are_remembered(caches, clock):
    """It is not asked for them again until the time is over, by no process."""
    cache, other = caches
    source = Source(a=1)
    keys = ["a", "b", "c"]
    for reader in (cache, other, cache):
        assert reader.get_or_load_many(keys, source, ttl=100, negative_ttl=5) == {"a": 1}
    assert source.asked == [keys]
    clock.advance(4.9)
    assert other.get_or_load_many(["c", "d"], source, ttl=100, negative_ttl=5) == {}
    assert source.asked == [keys, ["d"]]
    clock.advance(0.2)
    source.values["b"] = 2
    assert cache.get_or_load_many(keys, source, ttl=100, negative_ttl=5) == {"a": 1, "b": 2}
    assert source.asked == [keys, ["d"], ["b", "c"]]


def test_what_is_remembered_outlasts_l1(caches):
    """A tier below says so too."""
    cache, _ = caches
    source = Source()
    cache.get_or_load_many(["a"], source, negative_ttl=60)
    if cache._engine.stack.shared:
        cache._engine.stack.memory.clear()
    assert cache.get_or_load_many(["a"], source, negative_ttl=60) == {}
    assert len(source.asked) == 1


def test_what_does_not_exist_is_a_miss(caches):
    """For those who only look."""
    for cache in caches:
        cache.get_or_load_many(["a", "b"], Source(b=2), negative_ttl=60)
        assert cache.get("a") is None
        assert cache.get("a", MISSING) is MISSING
        assert cache.get("a", "default") == "default"
        assert cache.mget(["a", "b"]) == {"b": 2}


def test_a_set_goes_before_what_is_remembered(caches):
    """And what is remembered does not come back after it."""
    cache, other = caches
    cache.get_or_load_many(["a", "b"], Source(), negative_ttl=60)
    other.set("a", 1)
    other.mset({"b": 2})
    assert other.mget(["a", "b"]) == {"a": 1, "b": 2}
    assert other.get_or_load_many(["a", "b"], Source(), negative_ttl=60) == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    "forget",
    [
        lambda cache: cache.invalidate("a"),
        lambda cache: cache.delete("a"),
        lambda cache: cache.invalidate(pattern="*"),
        lambda cache: cache.invalidate(tags=["t"]),
        lambda cache: cache.clear(),
        lambda cache: cache.write("a", 1, lambda _: None),
    ],
    ids=["key", "delete", "pattern", "tag", "clear", "write"],
)
def test_what_is_remembered_can_be_forgotten(caches, forget):
    """As a value can, and the loader is asked again."""
    cache, _ = caches
    cache.get_or_load_many(["a"], Source(), negative_ttl=60, tags=["t"])
    forget(cache)
    assert cache.get_or_load_many(["a"], Source(a=1), negative_ttl=60, tags=["t"]) == {"a": 1}


def test_a_loader_of_one_key_is_asked_all_the_same(caches):
    """A loader of many may know less; and it runs in a load, like any other."""
    cache, other = caches
    cache.get_or_load_many(["a"], Source(), negative_ttl=60)

    def load():
        current_load().tags.add("t")
        return current_load().keys

    assert cache.get_or_load("a", load) == ("a",)
    cache.get_or_load_many(["b"], Source(), negative_ttl=60)
    with pytest.raises(LookupError):
        other.get_or_load("b", HeldLoader(LookupError(), is_held=False))


def test_a_loader_of_one_key_that_waited_for_one_of_many_is_asked(clock):
    """What it waited for is no answer to it."""
    with CacheManager(clock=clock) as cache:
        loader = HeldLoader(dict)
        source = ask(cache.get_or_load_many, ["a"], lambda keys: loader(), negative_ttl=60)
        loader.await_begun()
        single = ask(cache.get_or_load, "a", lambda: "own", negative_ttl=60)
        await_joined(cache, "a", 1)
        loader.release()
        assert source.result(10) == {}
        assert single.result(10) == "own"


def test_without_it_nothing_is_remembered(caches):
    """A key left out is asked for each time; a `None` is a value with its ttl."""
    cache, _ = caches
    source = Source()
    for _ in range(3):
        assert cache.get_or_load_many(["a"], source, ttl=100) == {}
    assert len(source.asked) == 3
    loader = HeldLoader(None, is_held=False)
    for _ in range(3):
        assert cache.get_or_load("k", loader, ttl=100) is None
    assert loader.calls == 1


def test_a_time_of_nothing_remembers_nothing(caches):
    """0 switches off what the defaults say."""
    cache, _ = caches
    source = Source()
    for _ in range(2):
        assert cache.get_or_load_many(["a"], source, negative_ttl=0) == {}
    assert len(source.asked) == 2


def test_what_was_there_before_is_not_served_for_what_is_gone(clock):
    """A value that expired, and whose key does not exist any more, is no stand-in."""
    with CacheManager(clock=clock) as cache:
        cache.set("a", "old", ttl=10, stale_ttl=1000)
        clock.advance(11)
        assert cache.get_or_load_many(["a"], Source(), negative_ttl=5) == {}
        assert cache.get_or_load_many(["a"], Source(a="never asked"), negative_ttl=5) == {}
        clock.advance(6)
        with pytest.raises(LookupError):
            cache.get_or_load("a", HeldLoader(LookupError(), is_held=False))


def test_what_does_not_exist_is_never_served_as_stale(clock):
    """Whatever else is allowed: it says nothing once its time is over."""
    options = {"negative_ttl": 5, "stale_ttl": 1000, "retry_after": 50, "soft_timeout": 30}
    with CacheManager(clock=clock) as cache:
        cache.get_or_load_many(["a"], Source(), **options)
        clock.advance(6)
        with pytest.raises(LookupError):
            cache.get_or_load_many(["a"], HeldLoader(LookupError(), is_held=False), **options)


def test_what_does_not_exist_is_kept_no_longer_than_it_is_believed(clock):
    """It could serve for nothing."""
    with CacheManager(clock=clock) as cache:
        cache.get_or_load_many(["a"], Source(), negative_ttl=5, stale_ttl=1000)
        assert cache._engine.peek("a").stale_until == clock.now() + 5


def test_what_does_not_exist_is_not_reloaded_ahead(clock):
    """It is always due, so that fast reads pass it by, and that is no reason to load."""
    with CacheManager(clock=clock) as cache:
        source = Source()
        options = {"negative_ttl": 60, "refresh_ahead": 0.1}
        cache.get_or_load_many(["a"], source, **options)
        clock.advance(50)
        cache.get_or_load_many(["a"], source, **options)
        background = cache._engine.reader.background
        wait_until(lambda: not background._unfinished, reason="nothing runs in the background")
        assert len(source.asked) == 1


def test_what_was_dropped_while_nothing_was_found_is_not_remembered(pair):
    """It may exist by now: the loader had looked before."""
    cache, other = pair()

    def load(keys):
        other.invalidate("a")
        hear(cache, other)
        return {}

    assert cache.get_or_load_many(["a"], load, negative_ttl=60) == {}
    assert cache.get_or_load_many(["a"], Source(a=1), negative_ttl=60) == {"a": 1}


def test_it_may_be_the_default_of_the_cache(clock):
    """For all loaders; `set` of a `None` is kept so long too."""
    with CacheManager(clock=clock, defaults=EntryOptions(ttl=100, negative_ttl=5)) as cache:
        source = Source()
        for _ in range(2):
            assert cache.get_or_load_many(["a"], source) == {}
        assert len(source.asked) == 1
        cache.set("k", None)
        clock.advance(6)
        assert cache.get("k", MISSING) is MISSING
