"""Values of every supported type, the classes among them, and what makes two values exactly the same."""

import dataclasses
import datetime as dt
import decimal
import enum
import functools
import struct
import types
from typing import Any, NamedTuple

import msgspec
import pydantic
import pytest
from hypothesis import strategies as st

from greencache.codecs import Codec, Signer
from greencache.entry import Entry
from greencache.testing import FakeClock


class Fuel(enum.Enum):
    COAL = "coal"
    WIND = ("wind", 0)


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Scope(enum.Flag):
    ONE = 1
    TWO = 2


class Point(NamedTuple):
    x: Any
    y: Any = None


@dataclasses.dataclass
class Factor:
    region: Any
    value: Any = 0.0
    derived: Any = dataclasses.field(default=None, init=False)

    def __post_init__(self):
        self.note = "set beside the fields"

    @functools.cached_property
    def label(self):
        """Return what cannot be written."""
        return object()


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    left: Any
    right: Any


class Row(msgspec.Struct):
    a: Any
    b: Any = msgspec.field(name="renamed", default=None)


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow", arbitrary_types_allowed=True)
    value: Any
    other: Any = None
    _hidden: Any = pydantic.PrivateAttr(default=7)


def same(left: Any, right: Any) -> bool:  # noqa: PLR0911 -- a case for each kind of type
    """Return whether two values are equal, of the same types all the way down, NaN being equal to itself."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return struct.pack("d", left) == struct.pack("d", right)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return same(list(left.items()), list(right.items()))
    if isinstance(left, decimal.Decimal):
        return str(left) == str(right)
    if isinstance(left, dt.datetime | dt.time):
        return (
            left == right
            and left.isoformat() == right.isoformat()
            and left.fold == right.fold
            and zone(left) == zone(right)
        )
    if isinstance(left, Factor | Pair | Row):
        names = getattr(
            left, "__struct_fields__", getattr(left, "__slots__", ("region", "value", "derived", "note"))
        )
        return all(same(getattr(left, name), getattr(right, name)) for name in names)
    if isinstance(left, Model):
        return all(
            same(left.__getstate__()[part], right.__getstate__()[part]) for part in left.__getstate__()
        )
    return bool(left == right)


def zone(moment: Any) -> Any:
    """Return what two equal zones have in common."""
    return getattr(moment.tzinfo, "key", moment.tzinfo)


def _leaves() -> st.SearchStrategy[Any]:
    offsets = st.integers(-86_399, 86_399).map(lambda seconds: dt.timezone(dt.timedelta(seconds=seconds)))
    zones = st.none() | st.timezones() | offsets | st.just(dt.UTC)
    return st.one_of(
        _keys(),
        st.floats(),
        st.decimals(),
        st.sampled_from([decimal.Decimal("sNaN"), decimal.Decimal("-0"), decimal.Decimal("1E+999999")]),
        st.binary().map(bytearray),
        st.datetimes(timezones=zones),
        st.times(timezones=st.none() | st.timezones() | offsets),
        st.just(msgspec.UNSET),
    )


def _keys() -> st.SearchStrategy[Any]:
    plain = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(-(2**200), 2**200),
        st.floats(allow_nan=False),
        st.text(st.characters(exclude_categories=["Cs"])),
        st.sampled_from(["__gc__", "", "value"]),
        st.binary(),
        st.dates(),
        st.timedeltas(),
        st.uuids(),
        st.decimals(allow_nan=False),
        st.sampled_from([*Fuel, *Level, *Scope, Scope.ONE | Scope.TWO, Scope(0)]),
    )
    return plain | st.tuples(plain, plain) | st.frozensets(plain, max_size=3)


def _containers(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(children, max_size=4),
        st.lists(children, max_size=4).map(tuple),
        st.dictionaries(_keys(), children, max_size=4),
        st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), children, max_size=4),
        st.sets(_keys(), max_size=4),
        st.builds(Factor, children, children),
        st.builds(Pair, children, children),
        st.builds(Row, children, children),
        st.builds(Point, children, children),
        st.builds(Model, value=children, further=children),
    )


@pytest.fixture(scope="session")
def values() -> st.SearchStrategy[Any]:
    """Any value that can be written."""
    return st.recursive(_leaves(), _containers, max_leaves=12)


@pytest.fixture(scope="session")
def kit() -> types.SimpleNamespace:
    """The classes and checks that tests share."""
    names = [Fuel, Level, Scope, Point, Factor, Pair, Row, Model, same]
    return types.SimpleNamespace(**{item.__name__: item for item in names})


@pytest.fixture
def clock() -> FakeClock:
    """The clock of the snapshots."""
    return FakeClock(now=1000.0, wall=1_700_000_000.0)


@pytest.fixture
def signer() -> Signer:
    """The signer of the snapshots."""
    return Signer({"2026": b"a secret of 32 bytes............"})


@pytest.fixture
def entry() -> Entry:
    """An entry with all of its parts."""
    return Entry(
        [1, "two"],
        1060.0,
        1600.0,
        due_at=1050.0,
        created=1_700_000_000.0,
        stamps=(("", "s0"), ("fuel", "s1")),
        cost=0.25,
    )


@pytest.fixture
def codec(clock: FakeClock) -> Codec:
    """A codec as most users have it."""
    return Codec(clock=clock)
