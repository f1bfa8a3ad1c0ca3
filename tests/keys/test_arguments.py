"""Canonical text of arguments: typed, injective, the same for calls that mean the same."""

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import inspect
import math
import uuid
import zoneinfo
from typing import NamedTuple

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greencache.errors import InvalidKeyError
from greencache.keys import canonical_text, hash_arguments

texts = st.text(st.characters(exclude_categories=["Cs"])) | st.text(
    st.sampled_from("',\\()[]{}:=1"), max_size=6
)
atoms = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False)
    | st.sampled_from([0.0, -0.0, 1.0, math.inf])
    | texts
    | st.binary(max_size=4)
    | st.decimals(allow_nan=False, places=1, min_value=-2, max_value=2)
    | st.uuids()
    | st.dates()
    | st.times()
    | st.datetimes()
    | st.timedeltas()
)
hashables = atoms | st.tuples(atoms) | st.tuples(atoms, atoms) | st.frozensets(atoms, max_size=3)
trees = st.recursive(
    hashables,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(hashables, inner, max_size=3)
        | st.sets(hashables, max_size=3)
    ),
    max_leaves=8,
)


def typed(value):
    """Return what must be equal for two values to be the same argument."""
    kind = type(value)
    if isinstance(value, dict):
        return kind, frozenset((typed(key), typed(part)) for key, part in value.items())
    if isinstance(value, list | tuple):
        return kind, tuple(map(typed, value))
    if isinstance(value, set | frozenset):
        return kind, frozenset(map(typed, value))
    return kind, repr(value)


class Colour(enum.Enum):
    RED = 1
    CRIMSON = 1  # noqa: PIE796 -- an alias
    BLUE = 2


class Level(enum.IntEnum):
    ONE = 1


class Right(enum.Flag):
    READ = 1
    WRITE = 2


@dataclasses.dataclass
class Place:
    region: str
    year: int | float = 2022


@dataclasses.dataclass(slots=True, frozen=True)
class Spot:
    region: str


class Struct(msgspec.Struct):
    region: str


class Model(pydantic.BaseModel, extra="allow"):
    region: str


class Point(NamedTuple):
    x: int
    y: int


class Undecorated(Place):
    """Inherits the fields of a dataclass, and may hold more."""


class SubText(str):
    __slots__ = ()


@given(trees, trees)
def test_different_values_never_share_their_text(one, other):
    """The encoding is injective, over nested values of every plain type."""
    assert (canonical_text(one) == canonical_text(other)) == (typed(one) == typed(other))


@given(st.lists(texts), st.lists(texts))
def test_no_text_breaks_out_of_its_quotes(one, other):
    """A user's text cannot pass for two arguments."""
    assert (canonical_text(one) == canonical_text(other)) == (one == other)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("DE", "'DE'"),
        ("it's \\", "'it\\'s \\\\'"),
        (b"\x01a", "b'0161'"),
        (2022, "2022"),
        (2.0, "2.0"),
        (-0.0, "-0.0"),
        (True, "True"),
        (None, "None"),
        (math.nan, "nan"),
        (decimal.Decimal("1.0"), "Decimal'1.0'"),
        (uuid.UUID(int=1), "UUID'00000000-0000-0000-0000-000000000001'"),
        (dt.date(2022, 1, 2), "date'2022-01-02'"),
        (dt.datetime(2022, 1, 2, tzinfo=dt.UTC), "datetime'2022-01-02T00:00:00+00:00'"),
        (dt.time(1, 2), "time'01:02:00'"),
        (dt.timedelta(1, 2, 3), "timedelta'1,2,3'"),
        ((1, "a"), "(1,'a')"),
        ([1], "[1]"),
        ({"b": 1, "a": [2]}, "{'a':[2],'b':1}"),
        ({"b", "a"}, "set{'a','b'}"),
        (frozenset({1}), "frozenset{1}"),
        pytest.param(10**5000, hex(10**5000), id="huge"),
    ],
)
def test_text_stays_readable(value, text):
    """What appears in a key can be read by people."""
    assert canonical_text(value) == text


def test_equal_values_of_different_types_differ():
    """`1 == 1.0 == True`, but a function may treat them differently."""
    values = [
        1,
        1.0,
        True,
        "1",
        b"1",
        None,
        "None",
        decimal.Decimal(1),
        Level.ONE,
        (1,),
        [1],
        {1},
        frozenset({1}),
    ]
    assert len({canonical_text(value) for value in values}) == len(values)


def test_order_counts_only_where_the_type_has_one():
    """Dictionaries and sets are the same in any order."""
    assert canonical_text({"a": 1, "b": 2}) == canonical_text({"b": 2, "a": 1})
    assert canonical_text([1, 2]) != canonical_text([2, 1])


def test_every_nan_is_the_same():
    """NaN is not equal to itself, yet the call is the same."""
    assert canonical_text(float("nan")) == canonical_text(-math.nan)


def test_enumerations_count_by_class_and_name():
    """Two enumerations with equal values differ; aliases do not."""
    assert canonical_text(Colour.RED).endswith("Colour'.'RED'")
    assert canonical_text(Colour.RED) == canonical_text(Colour.CRIMSON)
    assert canonical_text(Colour.RED) != canonical_text(Colour.BLUE)
    assert canonical_text(Right.READ | Right.WRITE) != canonical_text(Right.READ)


@pytest.mark.parametrize("kind", [Place, Spot, Struct, Model])
def test_records_count_by_class_and_fields(kind):
    """Dataclasses, structs and models are as good as their fields."""
    assert canonical_text(kind(region="DE")) == canonical_text(kind(region="DE"))
    assert canonical_text(kind(region="DE")) != canonical_text(kind(region="FR"))
    assert f":{kind.__qualname__}'('region'='DE'" in canonical_text(kind(region="DE"))


def test_fields_of_records_are_typed_too():
    """A year of 2022 is not a year of 2022.0."""
    assert canonical_text(Place("DE", 2022)) != canonical_text(Place("DE", 2022.0))
    assert canonical_text(Model(region="DE", extra=1)) != canonical_text(Model(region="DE", extra=True))


def test_named_tuples_are_not_plain_tuples():
    """The class counts."""
    assert canonical_text(Point(1, 2)) != canonical_text((1, 2))
    assert "Point'('x'=1,'y'=2)" in canonical_text(Point(1, 2))


def test_the_second_of_two_equal_wall_times_differs():
    """At the end of summer time an hour happens twice."""
    first = dt.datetime(2022, 10, 30, 2, 30)  # noqa: DTZ001 -- wall time is the point
    assert canonical_text(first) != canonical_text(first.replace(fold=1))
    berlin = first.replace(tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    assert canonical_text(berlin) != canonical_text(berlin.replace(fold=1))


@pytest.mark.parametrize(
    "value",
    [
        object(),
        SubText("DE"),
        bytearray(b"x"),
        range(3),
        len,
        int,
        1j,
        collections.OrderedDict(),
        collections.defaultdict(int),
        Undecorated("DE"),
        dt.time(1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
        [{"a": (object(),)}],
    ],
)
def test_types_without_canonical_text_are_refused(value):
    """Never repr(), id() or pickle: the message names the type and the way out."""
    with pytest.raises(InvalidKeyError, match="cannot be part of a key"):
        canonical_text(value)


def test_a_value_that_contains_itself_is_refused():
    """It has no text of finite length."""
    value = []
    value.append(value)
    with pytest.raises(InvalidKeyError, match="contains itself"):
        canonical_text(value)


def lookup(region, year=2022, *more, unit="g", **rest):
    """Take arguments in every way there is."""


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (("DE",), {}),
        (("DE", 2022), {}),
        ((), {"region": "DE"}),
        ((), {"unit": "g", "year": 2022, "region": "DE"}),
    ],
)
def test_ways_to_say_the_same_make_no_difference(args, kwargs):
    """Keyword order and spelled-out defaults do not count."""
    assert hash_arguments(lookup, args, kwargs) == "'DE',2022,(),'g',{}"


def test_variable_arguments_are_kept_apart():
    """`*args` cannot pass for `**kwargs` or a positional one."""
    signature = inspect.signature(lookup)
    calls = [
        (("DE", 1, 2), {}),
        (("DE", 1), {"more": 2}),
        (("DE", 1), {"unit": 2}),
        (("DE", (1, 2)), {}),
        (("DE", 1, (2,)), {}),
        (("DE", 1), {"a": 2}),
    ]
    assert len({hash_arguments(signature, args, kwargs) for args, kwargs in calls}) == len(calls)
    one, other = {"a": 1, "b": 2}, {"b": 2, "a": 1}
    assert hash_arguments(signature, ("DE",), one) == hash_arguments(signature, ("DE",), other)


def test_long_arguments_are_hashed():
    """Over 250 bytes only the SHA-256 is left, still different for different calls."""
    one = hash_arguments(lookup, ("x" * 251,), {})
    other = hash_arguments(lookup, ("y" * 251,), {})
    assert one != other
    assert one[0] == "#"
    assert len(one) == 65
    assert hash_arguments(lookup, ("#" + "0" * 64,), {})[0] == "'"


def test_an_argument_that_cannot_be_named_is_named():
    """The message says which argument it is."""
    with pytest.raises(InvalidKeyError, match=r"argument 'year': a value of type builtins\.object"):
        hash_arguments(lookup, ("DE", object()), {})


def test_lone_surrogates_are_refused():
    """No server could hold them."""
    with pytest.raises(InvalidKeyError, match="lone surrogate"):
        hash_arguments(lookup, ("\ud800",), {})


def test_wrong_arguments_are_a_type_error():
    """As for the function itself."""
    with pytest.raises(TypeError, match="region"):
        hash_arguments(lookup, (), {})
