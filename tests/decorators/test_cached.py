"""`cached` on functions: what is kept, under which key, and what is refused."""

import copy
import datetime as dt
import functools
import inspect
import pickle
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greencache.decorators import CacheInfo, cached
from greencache.errors import (
    ConfigurationError,
    InvalidKeyError,
    InvalidOptionError,
    UnsupportedFunctionError,
)
from greencache.typing import UNSET, CacheTier


class Nowhere:
    """A manager for functions at module level, which keeps nothing."""

    def get_or_load(self, key, loader, **options):
        """Load."""
        return loader()

    refresh = get_or_load

    def invalidate(self, *keys, tags=()):
        """Forget nothing, having nothing."""


@cached(cache_manager=Nowhere())
def factor(region, year=2022, *, unit="g"):
    """Look a factor up."""
    return region, year, unit


def test_the_second_call_does_not_run_the_function(cache):
    """That is what it is for."""
    runs = []

    @cached(ttl=60, cache_manager=cache, prefix="f")
    def lookup(region):
        runs.append(region)
        return region.lower()

    assert [lookup("DE"), lookup("DE"), lookup("FR")] == ["de", "de", "fr"]
    assert runs == ["DE", "FR"]


def test_none_is_a_result_like_any_other(cache):
    """A factor that does not exist is not looked up again."""
    runs = []

    @cached(cache_manager=cache, prefix="f")
    def lookup(region):
        runs.append(region)

    assert (lookup("DE"), lookup("DE"), len(runs)) == (None, None, 1)


def test_a_hit_is_one_call_of_the_manager(cache):
    """The wrapper does as little as possible."""

    @cached(cache_manager=cache, prefix="f")
    def lookup(region):
        return region

    lookup("DE")
    cache.calls.clear()
    lookup("DE")
    assert cache.calls == [("get_or_load", "f:'DE'")]


def test_keys_name_the_function_and_are_readable():
    """Module, qualified name, and the arguments."""
    assert factor.key("DE") == f"{__name__}.factor:'DE',2022,'g'"


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [(("DE", 2022), {}), ((), {"region": "DE"}), (("DE",), {"unit": "g", "year": 2022})],
)
def test_ways_to_say_the_same_share_an_entry(args, kwargs):
    """Keyword order and spelled-out defaults do not count."""
    assert factor.key(*args, **kwargs) == factor.key("DE")


ARGUMENTS = [1, 1.0, True, "1", b"1", None, 0.0, -0.0, 0, False, (1,), (1.0,), (True,), [1], {1: 1}]
ARGUMENTS += [dt.date(2022, 1, 1), dt.datetime(2022, 1, 1)]  # noqa: DTZ001 -- as callers do


def test_arguments_that_are_equal_but_of_other_types_do_not_share(cache):
    """Not even when their key was remembered from an earlier call."""

    @cached(cache_manager=cache, prefix="f")
    def show(value):
        return f"{type(value).__name__} {value!r}"

    for _ in range(2):
        for value in ARGUMENTS:
            assert show(value) == f"{type(value).__name__} {value!r}"


@given(st.lists(st.sampled_from(ARGUMENTS), max_size=8), st.booleans())
def test_remembered_keys_are_the_keys(values, by_name):
    """The quick way to a key and the slow one agree, in any order of calls."""
    keys = {}

    class Manager(Nowhere):
        def get_or_load(self, key, loader, **options):
            keys[key] = loader()

    @cached(cache_manager=Manager(), prefix="f")
    def show(value):
        return f"{type(value).__name__} {value!r}"

    for value in values:
        if by_name:
            show(value=value)
        else:
            show(value)
    assert len(set(keys.values())) == len(keys) == len({f"{type(v)} {v!r}" for v in values})


def test_a_default_that_changes_is_looked_at_every_time(cache):
    """A mutable default is input like any other."""
    shared = []

    @cached(cache_manager=cache, prefix="f")
    def count(name, seen=shared):
        return len(seen)

    assert count("a") == 0
    shared.append(1)
    assert count("a") == 1


def test_long_arguments_are_hashed_in_the_key():
    """A key stays below the limit, whatever the arguments."""
    key = factor.key("x" * 10_000)
    assert key.startswith(f"{__name__}.factor#")
    assert len(key) < 250
    assert key != factor.key("y" * 10_000)


def test_arguments_without_canonical_text_are_refused_by_name():
    """Never by repr(): the message names the argument and the way out."""
    with pytest.raises(InvalidKeyError, match=r"argument 'region': a value of type builtins\.object .* key="):
        factor(object())


def test_wrong_arguments_are_a_type_error():
    """As for the function itself."""
    with pytest.raises(TypeError, match="region"):
        factor()
    with pytest.raises(TypeError, match="colour"):
        factor("DE", colour=1)


def test_a_template_names_the_entry(cache):
    """Arguments that it leaves out do not count; defaults do."""

    @cached(cache_manager=cache, key="factor:{region}:{year}")
    def lookup(region, connection, year=2022):
        return region

    assert lookup.key("DE", object()) == "factor:DE:2022"
    lookup("DE", object())
    assert lookup("DE", object(), 2022) == "DE"
    assert list(cache.values) == ["factor:DE:2022"]


def test_a_callable_names_the_entry(cache):
    """It gets what the function gets, and its key is checked."""

    @cached(cache_manager=cache, key=lambda region, **rest: f"f:{region}:{sorted(rest)}")
    def lookup(region, **rest):
        return region

    assert lookup.key("DE", unit="g") == "f:DE:['unit']"

    @cached(cache_manager=cache, key=lambda region: region)
    def bare(region):
        return region

    with pytest.raises(InvalidKeyError, match="got int"):
        bare(1)


def test_a_failing_key_callable_is_called_once(cache):
    """Its error is the caller's, unchanged."""
    calls = []

    def key(region):
        calls.append(region)
        raise TypeError("mine")

    with pytest.raises(TypeError, match="mine"):
        cached(cache_manager=cache, key=key)(lambda region: region)("DE")
    assert calls == ["DE"]


def test_tags_are_templates_or_a_callable(cache):
    """Values are escaped as in keys."""

    @cached(cache_manager=cache, prefix="f", tags=["factors", "region:{region}", "{{literal}}"])
    def lookup(region, year):
        return region

    @cached(cache_manager=cache, prefix="g", tags=lambda region, year: [f"year:{year}"])
    def other(region, year):
        return region

    @cached(cache_manager=cache, key=lambda region: region, tags=["all"])
    def third(region):
        return region

    lookup("D:E", 2022)
    other("DE", 2022)
    third("DE")
    assert cache.tags["f:'D:E',2022"] == ("factors", "region:D%3AE", "{literal}")
    assert cache.tags["g:'DE',2022"] == ("year:2022",)
    assert cache.tags["DE"] == ("all",)


def test_options_reach_the_manager_as_they_were_given(cache):
    """What was not given is left to the cache's defaults."""

    @cached(
        300, cache_manager=cache, prefix="f", tier=CacheTier.L2, stale_ttl=60, refresh_ahead=0.8, jitter=0.1
    )
    def lookup(region):
        return region

    @cached(None, cache_manager=cache, prefix="g")
    def forever():
        return 1

    @cached(cache_manager=cache, prefix="i", tier=None)
    def everywhere():
        return 1

    @cached(cache_manager=cache, prefix="h")
    def default():
        return 1

    lookup("DE"), forever(), everywhere(), default()
    assert cache.options == [
        {"ttl": 300, "tier": CacheTier.L2, "stale_ttl": 60, "refresh_ahead": 0.8, "jitter": 0.1},
        {"ttl": None},
        {"tier": None},
        {},
    ]


def test_invalidate_and_refresh_take_the_same_arguments(cache):
    """In any spelling of them."""
    values = iter(range(10))

    @cached(ttl=5, cache_manager=cache, prefix="f", tags=["r:{region}"])
    def lookup(region, year=2022):
        return next(values)

    assert [lookup("DE"), lookup("DE")] == [0, 0]
    lookup.invalidate(year=2022, region="DE")
    assert [lookup("DE"), lookup("DE")] == [1, 1]
    assert lookup.refresh("DE") == 2
    assert lookup("DE", 2022) == 2
    assert cache.tags["f:'DE',2022"] == ("r:DE",)
    assert cache.options[-1] == {"ttl": 5}


def test_cache_info_counts_calls_and_runs(cache):
    """A miss is a run of the function, a hit a call without one."""

    @cached(cache_manager=cache, prefix="f")
    def lookup(region):
        return 1 / region

    for region in (1, 1, 2, 1):
        lookup(region)
    with pytest.raises(ZeroDivisionError):
        lookup(0)
    assert lookup.cache_info() == CacheInfo(hits=2, misses=3)
    lookup.refresh(1)
    assert lookup.cache_info() == CacheInfo(hits=2, misses=4)


def test_threads_get_their_own_keys(cache):
    """The memory of keys is shared by all threads and mixes nothing up."""

    @cached(cache_manager=cache, prefix="f")
    def show(value):
        return repr(value)

    wrong = []

    def run():
        for value in [1, True, "1", b"1"] * 500:
            if show(value) != repr(value):
                wrong.append(value)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not wrong


def test_the_wrapper_looks_like_the_function():
    """Name, documentation, signature and the function itself survive."""
    assert factor.__name__ == "factor"
    assert factor.__doc__ == "Look a factor up."
    assert str(inspect.signature(factor)) == "(region, year=2022, *, unit='g')"
    assert factor.__wrapped__("DE") == ("DE", 2022, "g")
    assert repr(factor) == f"<CachedFunction {__name__}.factor>"


def test_the_wrapper_is_pickled_by_name():
    """A process pool finds the decorated function under its name."""
    assert copy.deepcopy(factor) is factor
    assert factor.__reduce__() == "factor"
    assert b"factor" in pickle.dumps(factor)
    assert pickle.loads(pickle.dumps(factor)) is factor


def test_the_cache_may_come_from_a_callable(new_cache):
    """As in Flask, where it depends on the application at hand."""
    caches = [new_cache(), new_cache()]
    current = 0

    @cached(cache_manager=lambda: caches[current], prefix="f")
    def lookup(region):
        return current

    assert lookup("DE") == 0
    current = 1
    assert lookup("DE") == 1
    lookup.invalidate("DE")
    assert [len(cache.values) for cache in caches] == [1, 0]


async def coroutine():
    """Not a function whose call ends with a result."""


def generator():
    """Can be read only once."""
    yield


async def async_generator():
    """Neither."""
    yield


class AsyncCallable:
    async def __call__(self):
        """Not at the end of the call either."""


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (coroutine, "decorate the plain function"),
        (generator, "can be read only once"),
        (async_generator, "can be read only once"),
        (functools.partial(coroutine), "decorate the plain function"),
        (AsyncCallable(), "decorate the plain function"),
        (staticmethod(generator), "can be read only once"),
        (property(coroutine), "put @property above"),
        (int, "expected a function"),
        (7, "expected a function, got 7"),
        (type, "expected a function"),
    ],
)
def test_what_cannot_be_cached_is_refused_and_says_why(cache, function, why):
    """At decoration, not at the first call."""
    with pytest.raises(UnsupportedFunctionError, match=why):
        cached(cache_manager=cache, prefix="f")(function)


@pytest.mark.parametrize("make", [generator, coroutine, lambda: iter([1]), lambda: map(str, [1])])
def test_results_that_can_be_used_only_once_are_refused(cache, make):
    """The second caller would get an exhausted iterator."""

    @cached(cache_manager=cache, prefix="f")
    def lookup():
        return make()

    with pytest.raises(UnsupportedFunctionError, match="can be used only once"):
        lookup()
    assert not cache.values


def test_functions_that_share_their_name_need_a_prefix(cache):
    """Two closures have one name, and would share entries."""

    def make(rate):
        def convert(value):
            return value * rate

        return convert

    decorate = cached(cache_manager=cache)
    for function in (make(2), lambda value: value, functools.partial(make, 2), "".join):
        with pytest.raises(ConfigurationError, match="give prefix= or key="):
            decorate(function)
    assert cached(cache_manager=cache, prefix="double")(make(2))(4) == 8
    assert cached(cache_manager=cache, key="triple:{value}")(make(3))(4) == 12


def test_a_local_function_that_captures_nothing_needs_no_prefix(cache):
    """Its name says all there is."""

    @cached(cache_manager=cache)
    def lookup(region):
        return region

    assert lookup.key("DE").endswith("<locals>.lookup:'DE'")


def test_a_decorated_function_under_the_decorator_keeps_its_name(cache):
    """`functools.wraps` makes a closure, but one with the name of the original."""

    def traced(function):
        @functools.wraps(function)
        def call(*args):
            return function(*args)

        return call

    assert cached(cache_manager=cache)(traced(generator.__class__.__call__ and factor.__wrapped__)).key(
        "DE"
    ) == (f"{__name__}.factor:'DE',2022,'g'")


@pytest.mark.parametrize(
    ("name", "prefix"), [("__main__", "etl"), ("__mp_main__", "etl"), ("app.etl", "app.etl")]
)
def test_a_script_has_one_name_in_all_its_processes(cache, name, prefix):
    """`__main__` is another program's name too, and a spawned child calls it `__mp_main__`."""
    names = {"__name__": name, "__file__": "/srv/etl.py", "__spec__": None}
    exec("def lookup(region): return region", names)  # noqa: S102 -- a module that is run as a script
    assert cached(cache_manager=cache)(names["lookup"]).key("DE") == f"{prefix}.lookup:'DE'"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"key": "f:{regoin}"},
            ConfigurationError,
            r"names \['regoin'\], expected arguments out of \['region'",
        ),
        ({"tags": ["t:{nothing}"]}, ConfigurationError, "nothing"),
        ({"tags": "region:{region}"}, ConfigurationError, "expected a sequence of templates"),
        ({"key": "{region}{year}"}, ConfigurationError, "would run into it"),
        ({"key": "f:{rest}"}, ConfigurationError, "rest"),
        ({"prefix": "x" * 1000}, ConfigurationError, "prefix= cannot begin a key: .* got 1065"),
        ({"prefix": ""}, ConfigurationError, "prefix= cannot begin a key: .* empty"),
        ({"prefix": 7}, ConfigurationError, "prefix= cannot begin a key: .* got int"),
        ({"ttl": -1}, InvalidOptionError, "ttl"),
        ({"ttl": float("nan")}, InvalidOptionError, "ttl"),
        ({"jitter": 2}, InvalidOptionError, "jitter"),
        ({"tier": 2}, InvalidOptionError, "tier"),
        ({"cache_manager": None}, ConfigurationError, "cache_manager"),
    ],
)
def test_wrong_use_is_refused_at_decoration(cache, options, error, message):
    """Not at the first call, in production, at night."""

    def lookup(region, year=2022, *rest):
        return region

    with pytest.raises(error, match=message):
        cached(**{"cache_manager": cache, **options})(lookup)


def test_the_decorator_without_parentheses_says_what_is_missing():
    """The commonest slip."""
    with pytest.raises((ConfigurationError, TypeError), match="cache_manager"):
        cached(factor)
    with pytest.raises(ConfigurationError, match="expected the decorator to be called"):
        cached(factor, cache_manager=Nowhere())


def test_unset_is_not_passed_on(cache):
    """UNSET means: the cache decides."""
    cached(UNSET, cache_manager=cache, prefix="f")(lambda: 1)()
    assert cache.options == [{}]


LOADING = {
    "negative_ttl": 30.0,
    "retry_after": 5.0,
    "soft_timeout": 0.5,
    "hard_timeout": 2.0,
    "beta": 1.5,
    "stale_ttl": 100.0,
}


def test_options_of_loads_reach_the_cache(cache):
    """Those that were given, and no others."""

    @cached(cache_manager=cache, key="k", **LOADING)
    def load():
        return 1

    assert load() == 1
    assert {name: cache.options[0][name] for name in LOADING} == LOADING
    given = {name for name, value in cache.options[0].items() if value is not UNSET and value is not None}
    assert given <= {*LOADING, "tags"}


@pytest.mark.parametrize("options", [{"soft_timeout": -1}, {"beta": -1}, {"beta": 1, "refresh_ahead": 0.5}])
def test_options_of_loads_are_checked_when_a_function_is_decorated(cache, options):
    """Not when it is first called."""
    with pytest.raises(InvalidOptionError):
        cached(cache_manager=cache, **options)


def test_a_decorated_function_may_remark_on_its_load():
    """It is a loader; of what it declines nothing is kept."""
    from greencache import CacheManager, current_load

    calls = []
    with CacheManager() as manager:

        @cached(cache_manager=manager, hard_timeout=30.0, key="k")
        def load():
            calls.append(1)
            current_load().tags.add("computed")
            if len(calls) == 1:
                current_load().decline()
            return len(calls)

        assert [load(), load(), load()] == [1, 2, 2]
        manager.invalidate(tags=["computed"])
        assert load() == 3


def test_a_hit_is_counted_and_expires_as_by_get_or_load():
    """A decorated function takes a shorter way to L1, to the same answer."""
    from greencache import CacheManager
    from greencache.testing import FakeClock

    clock = FakeClock()
    calls = []
    with CacheManager(clock=clock) as manager:

        @cached(ttl=60, cache_manager=manager, key="k")
        def load():
            calls.append(1)

        for _ in range(3):
            assert load() is None
        assert manager.get_stats()["L1"].hits == 2
        assert manager._engine.peek("k").marked == 2
        clock.advance(61)
        load()
        assert len(calls) == 2


def test_a_get_or_load_of_ones_own_is_asked_each_time():
    """A subclass may count, trace or change what is returned, hits as well."""
    from greencache import CacheManager

    class Doubled(CacheManager):
        def get_or_load(self, key, loader, **options):
            return 2 * super().get_or_load(key, loader, **options)

    with Doubled() as manager:

        @cached(cache_manager=manager, key="k")
        def load():
            return 1

        assert [load(), load()] == [2, 2]
