"""Values of many kinds, for tests of isolation."""

import collections
import dataclasses
import datetime as dt
import decimal
import enum
from typing import Any, NamedTuple

import msgspec


class Colour(enum.Enum):
    RED = "red"


class Point(NamedTuple):
    x: Any
    y: Any


@dataclasses.dataclass
class Open:
    items: list


@dataclasses.dataclass(frozen=True)
class Closed:
    name: Any


class Loose(Closed):
    """Not frozen itself: it may have attributes that are not fields."""


class Struct(msgspec.Struct, frozen=True):
    name: Any


class Subtext(str):  # noqa: SLOT000 -- that is its point
    """May have attributes."""


MOMENT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

IMMUTABLE = [
    None, True, 3, 2.5, "text", b"bytes", decimal.Decimal("1.5"), MOMENT, Colour.RED, (), (1, (2, "x")),
    frozenset({1, (2,)}), Point(1, (2,)), Closed("x"), Closed((1, Closed(2))), Struct("x"), int, len,
]  # fmt: skip

TREES = [
    {"a": [1, {"b": {1, 2}}]},
    [[], [], {}],
    ([1], "x"),
    {(1, 2): {"deep": ([],)}},
    {1, (2, 3)},
]

GRAPHS = [
    Open([1]),
    [Open([1])],
    Closed([1]),
    Loose("x"),
    Struct([1]),
    bytearray(b"x"),
    collections.deque([1]),
    collections.OrderedDict(a=[1]),
    collections.defaultdict(list, a=[1]),
    [Subtext("x")],
    {Closed("x"): [bytearray(b"y")]},
]
