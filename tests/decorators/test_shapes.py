"""Functions that are compiled for the parameters of a decorated one: they bind as Python does."""

import functools

import pytest

from greencache import CacheManager
from greencache.decorators import cached
from greencache.errors import InvalidKeyError


@pytest.fixture
def cache():
    """A manager whose hits are compiled; any other one is asked at each call."""
    with CacheManager() as manager:
        yield manager


@pytest.fixture
def keep(cache):
    """Decorates with a cache in memory."""
    return cached(cache_manager=cache, prefix="f", ttl=None)


def calls_of(function, calls):
    """Call twice with each arguments, so that the second answer is a hit; return the answers."""
    return [(function(*args, **kwargs), function(*args, **kwargs)) for args, kwargs in calls]


def test_all_kinds_of_parameters_are_bound(keep):
    """Positional only, by either, by keyword only, with and without defaults."""
    runs = []

    @keep
    def show(a, b=2, /, c=3, *, d, e=5):
        runs.append((a, b, c, d, e))
        return a, b, c, d, e

    calls = [((1,), {"d": 4}), ((1, 2, 3), {"d": 4, "e": 5}), ((1,), {"e": 5, "d": 4, "c": 3})]
    assert calls_of(show, calls) == [((1, 2, 3, 4, 5), (1, 2, 3, 4, 5))] * 3
    assert show(1, d=0) == (1, 2, 3, 0, 5)
    assert runs == [(1, 2, 3, 4, 5), (1, 2, 3, 0, 5)]


def test_only_positional_parameters_are_bound(keep):
    """The slash at the end."""

    @keep
    def double(a, /):
        return 2 * a

    assert calls_of(double, [((2,), {})]) == [(4, 4)]
    with pytest.raises(TypeError, match="a"):
        double(a=2)


def test_names_of_parameters_do_not_meet_those_of_the_code(keep):
    """Whatever they are called."""

    @keep
    def odd(index, known, type, hit, _counts, __now):  # noqa: A002 -- that is the point
        return index, known, type, hit, _counts, __now

    assert calls_of(odd, [((1, 2, 3, 4, 5, 6), {})]) == [((1, 2, 3, 4, 5, 6),) * 2]


@pytest.mark.parametrize("by_keyword", [False, True])
def test_equal_values_of_other_types_are_other_calls(keep, by_keyword):
    """Also after all of them are known."""

    @keep
    def kind(value):
        return type(value).__name__

    class Text(str):
        __slots__ = ()

    values = [1, True, 1.0, "1", b"1", None]
    for _ in range(2):
        found = [kind(value=value) if by_keyword else kind(value) for value in values]
        assert found == ["int", "bool", "float", "str", "bytes", "NoneType"]
    with pytest.raises(InvalidKeyError, match="cannot be part of a key"):
        kind(Text("1"))


def test_a_wrong_call_is_told_what_python_tells(keep):
    """With the function's own name."""

    @keep
    def factor(region, year=2022):
        return region, year

    with pytest.raises(TypeError, match=r"factor\(\) missing 1 required positional argument: 'region'"):
        factor()
    with pytest.raises(TypeError, match="unexpected keyword argument 'when'"):
        factor("DE", when=1)


def test_arguments_that_cannot_be_hashed_are_still_told_apart(keep):
    """They are named anew at each call, and defaults that change are looked at."""

    @keep
    def total(numbers, more=[1]):  # noqa: B006 -- that is the point
        return sum(numbers) + sum(more)

    assert calls_of(total, [(([1, 2],), {}), (([2],), {}), (((1, 2),), {})]) == [(4, 4), (3, 3), (4, 4)]
    total.__wrapped__.__defaults__[0].append(1)
    assert total([1, 2]) == 5


def test_a_function_that_stands_for_another_sees_how_it_is_called(keep):
    """Its signature is not its own, and it may look at its keywords."""
    seen = []

    def traced(function):
        @functools.wraps(function)
        def call(*args, **kwargs):
            seen.append((args, kwargs))
            return function(*args, **kwargs)

        return call

    @keep
    @traced
    def factor(region, year=2022):
        return region, year

    assert factor(region="DE") == factor("DE", year=2022) == ("DE", 2022)
    assert seen == [((), {"region": "DE"})]


def test_what_is_known_of_calls_is_bounded(keep):
    """The earliest calls are forgotten, and answered all the same."""

    @keep
    def square(number):
        return number * number

    for number in range(5000):
        square(number)
    assert [len(known) for known in square._caller._known.values()] == [1928]
    assert [square(number) for number in range(5000)] == [number * number for number in range(5000)]


def test_methods_are_hit_for_all_receivers(cache):
    """The receiver is no part of the shape, and reaches the function."""

    class Source:
        runs = 0

        @cached(cache_manager=cache, prefix="m", ttl=None)
        def read(self, region):
            self.runs += 1
            return region

    first, second = Source(), Source()
    assert [first.read("DE"), second.read("DE"), Source.read(second, "DE")] == ["DE"] * 3
    assert (first.runs, second.runs) == (1, 0)


def test_an_invalidation_is_seen_by_the_next_call(keep):
    """What is remembered of a call is its key, never its result."""
    results = iter([1, 2])

    @keep
    def read(_):
        return next(results)

    assert [read("a"), read("a")] == [1, 1]
    read.invalidate("a")
    assert [read("a"), read("a")] == [2, 2]
