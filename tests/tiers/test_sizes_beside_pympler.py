"""Estimates of memory beside those of Pympler, which looks at every object there is.

Two things are left out: what a process has once anyway, for which Pympler takes more than there is, and
models of pydantic, of which it does not see all. What those take is measured at the allocator, in
test_sizing.py.
"""

import dataclasses
import datetime as dt
import decimal
import enum
import uuid
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from greencache.tiers.sizing import estimate_size

pympler = pytest.importorskip("pympler.asizeof")

NEAR = 0.2
FEW_BYTES = 64
"""What a header or two may make of a difference where a value is hardly more than that."""


class Unit(enum.Enum):
    KG = "kg"
    T = "t"


class Row(NamedTuple):
    name: str
    factor: Any


@dataclasses.dataclass(slots=True)
class Slotted:
    name: str
    value: Any


class Struct(msgspec.Struct):
    name: str
    value: Any


def asizeof(value):
    """Return what Pympler says, without what is there once in every process: it takes no memory again."""
    sizer = pympler.Asizer()
    sizer.exclude_refs(*range(-5, 257), *Unit, None, True, False, dt.UTC, uuid.SafeUUID.unknown)
    return sizer.asizeof(value)


TEXTS = st.text(max_size=200)
NUMBERS = st.integers() | st.integers(-(10**30), 10**30) | st.floats()
MOMENTS = st.datetimes() | st.datetimes(timezones=st.just(dt.UTC)) | st.dates() | st.times() | st.timedeltas()
LEAVES = (
    st.none()
    | st.booleans()
    | NUMBERS
    | TEXTS
    | st.binary(max_size=500)
    | MOMENTS
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.sampled_from(Unit)
)
KEYS = st.text(max_size=20) | st.integers()
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=20)
        | st.dictionaries(KEYS, inner, max_size=20)
        | st.tuples(inner, inner, inner)
        | st.sets(KEYS, max_size=20)
        | st.frozensets(KEYS, max_size=20)
        | st.builds(Row, TEXTS, inner)
        | st.builds(Slotted, TEXTS, inner)
        | st.builds(Struct, TEXTS, inner)
    ),
    max_leaves=60,
)


@settings(max_examples=100, deadline=None)
@given(VALUES)
@example([{"name": f"row {number}", "factor": number / 7} for number in range(60)])
@example({f"key {number}": [dt.date(2026, 1, 1), decimal.Decimal(number)] for number in range(60)})
@example([uuid.UUID(int=number << 90) for number in range(60)])
def test_an_estimate_is_within_a_fifth_of_pympler(value):
    """Whatever is nested in whatever, of all types that the codecs know."""
    # In a list, for Pympler counts what it is asked for itself whatever is excluded.
    assert estimate_size([value]) == pytest.approx(asizeof([value]), rel=NEAR, abs=FEW_BYTES)


def nested(levels):
    """Return lists in lists, with a text in each."""
    value = []
    for number in range(levels):
        value = [value, f"level {number}"]
    return value


SKEWED = {
    "one huge text among many": lambda: [f"{number}" for number in range(30_000)] + ["x" * 10**6],
    "a huge text that comes first": lambda: ["x" * 10**6, *(f"{number}" for number in range(30_000))],
    "a huge value in a dict": lambda: (
        {number * 1_000: f"{number}" for number in range(5_000)} | {-7: b"x" * 10**6}
    ),
    "one huge row among hundreds": lambda: [
        {"name": f"row {number}", "text": "x" * (10**6 if number == 700 else 5)} for number in range(900)
    ],
    "one long row among hundreds": lambda: [
        [f"{number} {index}" for index in range(8_000 if number == 333 else 3)] for number in range(600)
    ],
    "one text, many times": lambda: ["x" * 10**6] * 30_000,
}


@pytest.mark.parametrize("name", SKEWED)
def test_one_part_that_is_unlike_the_others_is_not_overlooked(name):
    """Nor taken for many: the one would fill the memory with what is thought small, the other keep it out."""
    value = SKEWED[name]()
    assert estimate_size(value) == pytest.approx(asizeof(value), rel=NEAR)


@pytest.mark.parametrize("levels", [15, 40, 95])
def test_what_is_nested_as_deep_as_codecs_go_is_counted_to_its_end(levels):
    """A hundred levels."""
    value = nested(levels)
    assert estimate_size(value) == pytest.approx(asizeof(value), rel=NEAR)


@dataclasses.dataclass
class Plain:
    name: str
    value: Any


def test_objects_with_attributes_are_near_pympler_too():
    """Although that makes a dict for each, which is there only once somebody asks for it."""
    value = [Plain(f"row {number}", number * 1_000) for number in range(100)]
    estimate = estimate_size(value)  # before Pympler asks
    assert estimate == pytest.approx(asizeof(value), rel=NEAR)
    assert estimate_size(value) == pytest.approx(asizeof(value), rel=NEAR)


@pytest.mark.parametrize("count", [1_000, 20_000])
@pytest.mark.parametrize(
    "make",
    [
        lambda number: {"name": f"row {number}", "factor": number / 7, "tags": [f"t{number}", f"u{number}"]},
        lambda number: Row(f"row {number}", number / 7),
        lambda number: Struct(f"row {number}", [number * 10**6, dt.date(2000, 1, 1) + dt.timedelta(number)]),
        lambda number: f"{number}" * (number % 50 + 1),
    ],
    ids=["dicts", "named tuples", "structs", "texts"],
)
def test_a_sample_of_many_is_within_a_fifth_of_pympler(make, count):
    """Of large containers only some are looked at."""
    value = [make(number) for number in range(count)]
    assert estimate_size(value) == pytest.approx(asizeof(value), rel=NEAR)
