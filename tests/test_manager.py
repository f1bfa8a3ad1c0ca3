"""The verbs of CacheManager, over L1 alone."""

import math

import pytest

from greencache import MISSING, CacheManager, CacheTier, cached
from greencache.errors import (
    ConfigurationError,
    InvalidArgumentError,
    InvalidKeyError,
    InvalidOptionError,
    UnsupportedFunctionError,
)
from greencache.options import EntryOptions
from greencache.testing import FakeClock
from greencache.tiers.memory import MemoryTier


@pytest.fixture
def clock():
    """A clock that stands still until it is moved."""
    return FakeClock()


@pytest.fixture
def cache(clock):
    """A cache in memory."""
    with CacheManager(clock=clock) as cache:
        yield cache


def fail():
    """Be a loader that must not be called."""
    raise AssertionError("loaded although the value is cached")


def test_a_cache_without_arguments_works():
    """`CacheManager()` alone is a working L1."""
    with CacheManager() as cache:
        cache.set("a", 1)
        assert cache.get("a") == 1


def test_none_is_a_value(cache):
    """A cached None is told from a miss by MISSING, and is not loaded again."""
    cache.set("a", None)
    assert cache.get("a", MISSING) is None
    assert cache.get("b", MISSING) is MISSING
    assert cache.get_or_load("a", fail) is None


def test_a_miss_is_the_default(cache):
    """Without a default a miss is None, as with `dict.get`."""
    assert cache.get("a") is None
    assert cache.get("a", 7) == 7


def test_a_value_is_loaded_once(cache):
    """The second call finds what the first has loaded."""
    assert cache.get_or_load("a", lambda: 1) == 1
    assert cache.get_or_load("a", fail) == 1


def test_a_value_expires_after_its_ttl(cache, clock):
    """`ttl` is exact to the clock."""
    cache.set("a", 1, ttl=10)
    clock.advance(9.999)
    assert cache.get("a") == 1
    clock.advance(0.001)
    assert cache.get("a") is None


def test_no_ttl_means_for_ever(cache, clock):
    """`ttl=None` never expires; absence means the tier's default of 60 seconds."""
    cache.mset({"a": 1}, ttl=None)
    cache.mset({"b": 1})
    clock.advance(1e9)
    assert cache.mget(["a", "b"]) == {"a": 1}


def test_jitter_only_shortens(cache, clock):
    """With jitter entries expire between a part of their ttl and all of it."""
    for number in range(200):
        cache.set(f"k{number}", number, ttl=100, jitter=0.5)
    keys = [f"k{number}" for number in range(200)]
    clock.advance(49.9)
    assert len(cache.mget(keys)) == 200
    clock.advance(25)
    assert 20 < len(cache.mget(keys)) < 180
    clock.advance(25.2)
    assert cache.mget(keys) == {}


def test_a_stale_value_is_served_when_loading_fails(cache, clock):
    """`stale_ttl` is how long an expired value stands in for a source that fails."""
    cache.get_or_load("a", lambda: "old", ttl=10, stale_ttl=20)
    clock.advance(15)
    assert cache.get("a") is None
    assert cache.get_or_load("a", _broken) == "old"
    assert cache.get_stats().loads.stale_served == 1
    clock.advance(20)
    with pytest.raises(ZeroDivisionError):
        cache.get_or_load("a", _broken)


def _broken():
    return 1 // 0


def test_a_dropped_value_is_never_served_as_stale(cache, clock):
    """What was dropped was wrong, and nothing makes it right again."""
    cache.set("a", "wrong", ttl=10, stale_ttl=100)
    clock.advance(15)
    cache.invalidate("a")
    with pytest.raises(ZeroDivisionError):
        cache.get_or_load("a", _broken)


def test_the_error_of_a_loader_reaches_the_caller_unchanged_and_is_not_cached(cache):
    """The next call loads again."""
    with pytest.raises(ZeroDivisionError):
        cache.get_or_load("a", _broken)
    assert cache.get_or_load("a", lambda: 1) == 1


def test_many_are_read_written_and_removed_at_once(cache):
    """Bulk verbs do what the single ones do; keys without value are left out."""
    cache.mset({"a": 1, "b": None})
    assert cache.mget(["a", "b", "c"]) == {"a": 1, "b": None}
    assert cache.mdelete(["a", "c"]) == 1
    assert cache.mget(["a", "b"]) == {"b": None}


def test_what_is_missing_of_many_is_loaded_by_one_call(cache):
    """The loader gets only what is missing, once, and may leave out what does not exist."""
    cache.set("a", 1)
    calls = []

    def load(keys):
        calls.append(keys)
        return {key: key.upper() for key in keys if key != "none"}

    assert cache.get_or_load_many(["a", "b", "none", "c", "b"], load) == {"a": 1, "b": "B", "c": "C"}
    assert calls == [["b", "none", "c"]]
    assert cache.mget(["b", "c", "none"]) == {"b": "B", "c": "C"}


def test_delete_says_whether_there_was_something(cache):
    """A key that is not there is no error."""
    cache.set("a", 1)
    assert cache.delete("a") is True
    assert cache.delete("a") is False


def test_a_pattern_forgets_what_matches(cache):
    """Only whole keys that match go."""
    cache.mset({"user:1": 1, "user:2": 2, "superuser:1": 3})
    assert cache.invalidate(pattern="user:*") == 2
    assert cache.mget(["user:1", "user:2", "superuser:1"]) == {"superuser:1": 3}


def test_tags_forget_what_was_stored_under_them(cache):
    """An entry goes when any of its tags does, whether it was set or loaded."""
    cache.set("a", 1, tags=["red", "round"])
    cache.get_or_load("b", lambda: 2, tags=["red"])
    cache.set("c", 3, tags=["round"])
    cache.invalidate(tags=["red"])
    assert cache.mget(["a", "b", "c"]) == {"c": 3}


def test_clear_forgets_everything(cache):
    """And what is stored afterwards stays."""
    cache.mset({"a": 1, "b": 2})
    cache.clear()
    cache.set("c", 3)
    assert cache.mget(["a", "b", "c"]) == {"c": 3}


def test_a_refresh_loads_although_a_value_is_cached(cache):
    """And what it has loaded is what others read."""
    cache.set("a", "old")
    assert cache.refresh("a", lambda: "new") == "new"
    assert cache.get("a") == "new"


def test_a_write_reaches_the_source_first_and_drops_the_key(cache):
    """Cache-aside: the next read loads what was written."""
    source = {}
    cache.set("a", "old")
    cache.write("a", "new", lambda value: source.update(a=value))
    assert source == {"a": "new"}
    assert cache.get("a") is None


def test_a_write_that_fails_leaves_the_cache_alone(cache):
    """What the writer raises is raised unchanged."""
    cache.set("a", "old")
    with pytest.raises(ZeroDivisionError):
        cache.write("a", "new", lambda _: 1 // 0)
    assert cache.get("a") == "old"


@pytest.mark.parametrize("key", ["", "x" * 1025, "\ud800", 5, None, b"a", ["a"], ("a",)])
def test_what_cannot_be_a_key_is_refused(cache, key):
    """By every verb, with an error that says what was expected."""
    for call in (
        lambda: cache.get(key),
        lambda: cache.set(key, 1),
        lambda: cache.get_or_load(key, fail),
        lambda: cache.mget([key]),
        lambda: cache.delete(key),
        lambda: cache.invalidate(key),
    ):
        with pytest.raises(InvalidKeyError):
            call()


@pytest.mark.parametrize(
    "options",
    [
        {"ttl": -1},
        {"ttl": math.nan},
        {"ttl": "60"},
        {"ttl": True},
        {"stale_ttl": -1},
        {"jitter": 1.5},
        {"refresh_ahead": -0.1},
        {"tags": "red"},
        {"tier": "L1"},
        {"tier": CacheTier.L2},
    ],
)
def test_an_option_out_of_range_is_refused(cache, options):
    """A negative or NaN ttl, one text for tags, a tier that is not there."""
    with pytest.raises(InvalidOptionError):
        cache.set("a", 1, **options)


def test_an_option_is_refused_although_an_equal_one_was_taken(cache):
    """True equals 1, and is no ttl: what is remembered of calls tells them apart."""
    cache.set("k", 1, ttl=1)
    cache.set("k", 1, ttl=1.0)
    with pytest.raises(InvalidOptionError):
        cache.set("k", 2, ttl=True)
    with pytest.raises(InvalidOptionError):
        cache.set("k", 2, ttl=[])
    assert cache.get("k") == 1


def test_calls_with_ever_other_options_leave_little_behind(cache):
    """A ttl that is computed is another one each time."""
    for number in range(1, 5_000):
        cache.set("k", 1, ttl=number / 7)
    assert len(cache._chosen) <= 256


def test_one_text_where_several_are_expected_is_refused(cache):
    """Nobody means the characters of a key."""
    with pytest.raises(InvalidKeyError, match="put it into a list"):
        cache.mget("abc")
    with pytest.raises(InvalidKeyError):
        cache.invalidate(tags="abc")


def test_an_unknown_option_is_a_type_error(cache):
    """As with any function."""
    with pytest.raises(TypeError, match="tll"):
        cache.set("a", 1, tll=5)


@pytest.mark.parametrize("namespace", ["", "a:b", "a{b", "x" * 65])
def test_a_namespace_that_servers_could_misread_is_refused(namespace):
    """When the cache is built, not at its first call."""
    with pytest.raises(InvalidKeyError):
        CacheManager(namespace=namespace)


def test_two_l1_are_refused():
    """A cache has one memory."""
    with pytest.raises(ConfigurationError):
        CacheManager([MemoryTier(), MemoryTier()])


def test_default_tags_are_overruled_by_none(clock):
    """A call that gives none has none; one that gives nothing has the default's, a decorated function too."""
    with CacheManager(clock=clock, defaults=EntryOptions(tags=["t"])) as cache:

        @cached(cache_manager=cache, key="function")
        def function():
            return 1

        for look in (function, function.refresh):
            cache.set("tagged", 1)
            cache.set("bare", 1, tags=())
            look()
            cache.invalidate(tags=["t"])
            assert cache.mget(["tagged", "bare", "function"]) == {"bare": 1}


def test_defaults_of_the_cache_are_overruled_by_the_call(clock):
    """`None` overrules too; tags of the call replace those of the cache."""
    with CacheManager(clock=clock, defaults=EntryOptions(ttl=5)) as cache:
        cache.set("a", 1)
        cache.set("b", 1, ttl=50)
        cache.set("c", 1, ttl=None)
        clock.advance(6)
        assert cache.mget(["a", "b", "c"]).keys() == {"b", "c"}


def test_statistics_count_hits_misses_and_loads(cache):
    """And can be subtracted."""
    cache.set("a", 1)
    before = cache.get_stats()
    cache.get("a")
    cache.get("b")
    cache.get_or_load("c", lambda: 1)
    stats = cache.get_stats() - before
    assert (stats["L1"].hits, stats["L1"].misses) == (1, 2)
    assert stats["L1"].hit_rate == pytest.approx(1 / 3)
    assert stats.loads.loads == 1


def test_health_says_up_with_latency_and_hit_rate(cache):
    """L1 alone is always up."""
    cache.set("a", 1)
    cache.get("a")
    report = cache.health_check()
    assert report.status == "up"
    assert report["L1"].latency_ms is not None
    assert report["L1"].hit_rate == 1.0


def test_a_hit_past_the_refresh_threshold_reloads_in_the_background(cache, clock):
    """The caller gets the value at hand, and the next one what was loaded meanwhile."""
    cache.get_or_load("a", lambda: "first", ttl=100, refresh_ahead=0.8)
    clock.advance(90)
    assert cache.get_or_load("a", lambda: "second", ttl=100, refresh_ahead=0.8) == "first"
    cache._engine.reader.background.close()
    assert cache.get("a") == "second"


def test_hits_of_a_batch_are_reloaded_in_the_background_too(cache, clock):
    """By one call of the loader, for those that are due."""
    calls = []

    def load(keys):
        calls.append(sorted(keys))
        return dict.fromkeys(keys, len(calls))

    options = {"ttl": 100, "refresh_ahead": 0.8}
    cache.get_or_load_many(["a", "b"], load, **options)
    clock.advance(90)
    assert cache.get_or_load_many(["a", "b", "c"], load, **options) == {"a": 1, "b": 1, "c": 2}
    cache._engine.reader.background.close()
    assert calls == [["a", "b"], ["c"], ["a", "b"]]
    assert cache.mget(["a", "b", "c"]) == {"a": 3, "b": 3, "c": 2}


def test_a_cache_may_be_closed_twice(cache):
    """By hand and by its context."""
    cache.close()
    cache.close()


def test_a_coroutine_is_refused_as_a_value(cache):
    """It could be awaited only once."""

    async def load():
        return 1

    with pytest.raises(UnsupportedFunctionError, match="async"):
        cache.get_or_load("a", load)
    with pytest.raises(UnsupportedFunctionError):
        cache.set("a", load())


def test_a_batch_loader_that_returns_no_mapping_is_refused(cache):
    """With an error that says what was expected."""
    with pytest.raises(InvalidArgumentError, match="mapping"):
        cache.get_or_load_many(["a"], lambda keys: None)


def test_a_batch_loader_may_use_up_its_list(cache):
    """It is the loader's own."""

    def load(keys):
        return {keys.pop(): 1 for _ in range(len(keys))}

    assert cache.get_or_load_many(["a", "b"], load) == {"a": 1, "b": 1}


def test_what_a_batch_loader_leaves_out_does_not_exist_any_more(cache, clock):
    """A stale value stands in for a failure, not for an answer."""
    cache.get_or_load_many(["a"], lambda _: {"a": "old"}, ttl=10, stale_ttl=100)
    clock.advance(20)
    assert cache.get_or_load_many(["a"], lambda _: {}, ttl=10, stale_ttl=100) == {}


@pytest.mark.parametrize("arguments", [{"patience": -1}, {"patience": math.nan}, {"max_staleness": -5}])
def test_durations_of_the_cache_are_checked(arguments):
    """When it is built."""
    with pytest.raises(InvalidOptionError):
        CacheManager(**arguments)


def test_a_huge_or_endless_ttl_is_no_accident(cache):
    """One that no float holds is refused; infinity is for ever, refreshed ahead or not."""
    with pytest.raises(InvalidOptionError):
        cache.set("a", 1, ttl=10**400)
    cache.set("a", 1, ttl=math.inf, refresh_ahead=0)
    assert cache.get("a") == 1


def test_a_failing_load_is_recorded(clock):
    """Its error's type is told, not its text, which may hold anything."""
    events = []

    class Notes:
        def record(self, event):
            events.append(event)

    with CacheManager(clock=clock, recorder=Notes()) as cache, pytest.raises(ZeroDivisionError):
        cache.get_or_load("a", _broken)
    assert [(event.kind, event.key, event.detail) for event in events] == [
        ("load_failed", "a", {"error": "ZeroDivisionError"})
    ]
