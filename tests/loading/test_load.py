"""What a loader may know of its load, and say of what it returns."""

import contextvars
import threading

import pytest

from greencache import MISSING, CacheManager, current_load
from greencache.errors import InvalidArgumentError, InvalidKeyError, InvalidOptionError
from greencache.loading.load import Load, loads_under_way
from tests.loading.loaders import HeldLoader, ask, await_joined


@pytest.fixture
def cache(clock):
    """A cache in memory."""
    with CacheManager(clock=clock) as cache:
        yield cache


def test_outside_of_a_loader_there_is_no_load(cache):
    """Neither before, nor after, nor after one that has failed."""
    with pytest.raises(InvalidArgumentError, match="no load is under way"):
        current_load()
    cache.get_or_load("k", current_load)
    with pytest.raises(LookupError):
        cache.get_or_load("fails", HeldLoader(LookupError(), is_held=False))
    with pytest.raises(InvalidArgumentError, match="no load is under way"):
        current_load()


def test_a_load_knows_its_keys(cache):
    """Those that are to be loaded, not those that were asked for."""
    cache.set("there", 1)
    keys = []
    cache.get_or_load_many(["a", "there", "b"], lambda _: keys.append(current_load().keys) or {})
    assert keys == [("a", "b")]
    assert cache.get_or_load("k", lambda: current_load().keys) == ("k",)


def test_a_load_within_a_load_is_the_current_one_until_it_ends(cache):
    """Then the outer one is again, so that a remark is about the right value."""
    seen = []

    def load_outer():
        seen.append(current_load().keys)
        cache.get_or_load("inner", lambda: seen.append([load.keys for load in loads_under_way()]))
        seen.append(current_load().keys)
        return "outer"

    assert cache.get_or_load("outer", load_outer, tags=["t"]) == "outer"
    assert seen == [("outer",), [("inner",), ("outer",)], ("outer",)]


def test_remarks_within_a_load_do_not_reach_the_outer_one(cache):
    """Each value has its own ttl and tags."""

    def load_inner():
        current_load().decline()
        current_load().tags.add("of-inner")
        return "inner"

    cache.get_or_load("outer", lambda: cache.get_or_load("inner", load_inner))
    cache.invalidate(tags=["of-inner"])
    assert cache.get("outer") == "inner"
    assert cache.get("inner", MISSING) is MISSING


def test_another_thread_has_no_load(cache):
    """What a loader starts on threads of its own must be given the load."""

    def load():
        with pytest.raises(InvalidArgumentError):
            ask(current_load).result(10)
        return 1

    assert cache.get_or_load("k", load) == 1


def test_what_a_loader_has_left_behind_runs_in_no_load_any_more(cache):
    """A task of an event loop keeps its context; what it asks for later is no part of the load."""
    left = []
    cache.get_or_load("k", lambda: left.append(contextvars.copy_context()))
    assert left[0].run(lambda: list(loads_under_way())) == []
    with pytest.raises(InvalidArgumentError, match="has ended"):
        left[0].run(current_load)


def test_what_an_inner_loader_has_left_behind_is_part_of_the_outer_load_only(cache):
    """The outer loader may be waiting for it. But what it says of its value is not said of the outer one."""
    left = []

    def load_outer():
        cache.get_or_load("inner", lambda: left.append(contextvars.copy_context()))
        with pytest.raises(InvalidArgumentError, match="has ended"):
            left[0].run(current_load)
        return left[0].run(lambda: [load.keys for load in loads_under_way()])

    assert cache.get_or_load("outer", load_outer) == [("outer",)]


def test_loads_that_are_begun_by_ended_ones_hold_on_to_none_of_them():
    """Each may begin the next, for as long as the process runs."""

    def begin_next(load):
        with load.under_way():
            return contextvars.copy_context()

    first, second = Load(["a"], {}, lambda: 0.0), Load(["b"], {}, lambda: 0.0)
    begin_next(first).run(begin_next, second)
    assert second.outer is None


def test_with_timeouts_a_loader_has_its_load_on_a_thread_of_the_caches(cache):
    """And with it the loads that the caller runs in."""
    seen = []

    def load_inner():
        seen.append((threading.current_thread().name, [load.keys for load in loads_under_way()]))
        return 1

    cache.get_or_load(
        "outer", lambda: cache.get_or_load("inner", load_inner, hard_timeout=30), hard_timeout=30
    )
    assert seen == [("greencache-background", [("inner",), ("outer",)])]


def test_a_thread_of_the_caches_forgets_the_load_it_ran_in(cache):
    """The next one there may belong to nobody's loader."""
    cache.get_or_load("a", lambda: cache.get_or_load("b", lambda: 1, hard_timeout=30), hard_timeout=30)
    for number in range(100):
        outer = cache.get_or_load(
            f"k{number}", lambda: [load.keys for load in loads_under_way()], hard_timeout=30
        )
        assert outer == [(f"k{number}",)]


def test_a_loader_may_choose_the_ttl(cache, clock):
    """Instead of the caller's; the value knows best how long it holds."""

    def load():
        current_load().ttl = 5
        return "v"

    cache.get_or_load("k", load, ttl=100)
    clock.advance(4.9)
    assert cache.get("k") == "v"
    clock.advance(0.2)
    assert cache.get("k") is None


def test_a_loader_may_choose_that_a_value_never_expires(cache, clock):
    """As `ttl=None` of a call."""

    def load():
        current_load().ttl = None
        return "v"

    cache.get_or_load("k", load, ttl=1)
    clock.advance(1e6)
    assert cache.get("k") == "v"


def test_a_chosen_ttl_goes_before_the_one_for_nothing(cache, clock):
    """`negative_ttl` is for loaders that say nothing."""

    def load():
        current_load().ttl = 50

    cache.get_or_load("k", load, negative_ttl=1)
    clock.advance(40)
    assert cache.get("k", MISSING) is None


@pytest.mark.parametrize("ttl", [-1, float("nan"), "5", True])
def test_a_ttl_that_is_no_time_is_refused(cache, ttl):
    """As in the options of a call; the load has failed then."""

    def load():
        current_load().ttl = ttl

    with pytest.raises(InvalidOptionError, match="ttl must be"):
        cache.get_or_load("k", load)
    assert cache.get("k", MISSING) is MISSING


@pytest.mark.parametrize("tag", ["\0", "", "x" * 1025, 5, "\ud800"])
def test_what_cannot_be_a_tag_is_refused(cache, tag):
    """NUL alone stands for all tags."""
    with pytest.raises(InvalidKeyError):
        cache.get_or_load("k", lambda: current_load().tags.add("good", tag))
    assert cache.get("k", MISSING) is MISSING


@pytest.mark.parametrize(
    "use",
    [
        lambda cache: cache.set("k", 1, tags=["\0"]),
        lambda cache: cache.get_or_load("k", lambda: 1, tags=["\0"]),
        lambda cache: cache.invalidate(tags=["\0"]),
        lambda cache: cache.invalidate(tags=["\0"], dry_run=True),
    ],
)
def test_the_name_of_all_tags_is_refused_in_calls_too(cache, use):
    """Else one tag of a user's would stand for all."""
    with pytest.raises(InvalidKeyError, match="all tags"):
        use(cache)


def test_a_declined_value_is_returned_and_not_stored(cache):
    """The next call loads again."""

    def load():
        current_load().decline()
        return "partial"

    assert cache.get_or_load("k", load) == "partial"
    assert cache.get("k", MISSING) is MISSING
    assert cache.get_or_load("k", lambda: "whole") == "whole"


def test_all_who_wait_get_a_declined_value(cache):
    """They asked while it was loaded."""

    def decline():
        current_load().decline()
        return "partial"

    loader = HeldLoader(decline)
    leader = ask(cache.get_or_load, "k", loader)
    loader.await_begun()
    followers = [ask(cache.get_or_load, "k", lambda: "own") for _ in range(4)]
    followers.append(ask(cache.get_or_load_many, ["k"], lambda _: {"k": "own"}))
    await_joined(cache, "k", 5)
    loader.release()
    assert leader.result(10) == "partial"
    assert [follower.result(10) for follower in followers] == ["partial"] * 4 + [{"k": "partial"}]
    assert loader.calls == 1


def test_keys_of_a_batch_are_remarked_on_one_by_one(cache, clock):
    """And what is said of all holds for the others."""

    def load(keys):
        load = current_load()
        load.ttl = 50
        load.tags.add("all")
        load.of("a").ttl = 5
        load.of("a").tags.add("only-a")
        load.of("b").decline()
        return dict.fromkeys(keys, 1)

    assert cache.get_or_load_many(["a", "b", "c"], load) == {"a": 1, "b": 1, "c": 1}
    assert cache.mget(["a", "b", "c"]) == {"a": 1, "c": 1}
    clock.advance(6)
    assert cache.mget(["a", "c"]) == {"c": 1}
    cache.get_or_load_many(["a", "b"], load)
    cache.invalidate(tags=["only-a"])
    assert cache.mget(["a", "c"]) == {"c": 1}
    cache.invalidate(tags=["all"])
    assert cache.mget(["c"]) == {}


def test_remarks_on_each_of_many_keys_are_found_without_looking_through_all():
    """Else a batch would cost as the square of its size."""
    compared = []

    class Counted(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other):
            compared.append(other)
            return str.__eq__(self, other)

    keys = [Counted(f"k{number}") for number in range(1_000)]
    load = Load(keys, {}, lambda: 0.0)
    for key in keys:
        load.of(key)
    assert len(compared) < 10 * len(keys)


def test_a_key_that_is_not_loaded_cannot_be_remarked_on(cache):
    """It may be there, and be somebody else's value."""
    cache.set("there", 1)

    def load(keys):
        current_load().of("there")
        return {}

    with pytest.raises(InvalidArgumentError, match="being loaded"):
        cache.get_or_load_many(["k", "there"], load)
