"""What a value is made of: whether it can be changed at all, and how it is copied fastest."""

import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import ipaddress
import operator
import pathlib
import re
import types
import uuid
import zoneinfo
from collections.abc import Iterable
from typing import Any, Final

__all__ = ["ATOMS", "Shape", "copied_tree", "shape_of"]

ATOMS: Final = frozenset(
    {
        type(None), bool, int, float, complex, str, bytes, range, type(...), type(NotImplemented),
        decimal.Decimal, fractions.Fraction, uuid.UUID, re.Pattern,
        dt.datetime, dt.date, dt.time, dt.timedelta, dt.timezone, zoneinfo.ZoneInfo,
        ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network,
        pathlib.PurePosixPath, pathlib.PureWindowsPath, pathlib.PosixPath, pathlib.WindowsPath,
    }
)  # fmt: skip
"""Types of which no instance can be changed. Subclasses may have attributes of their own,
and are not meant."""

_SHARED: Final = (type, enum.Enum, types.ModuleType, types.FunctionType, types.BuiltinFunctionType)
"""What belongs to the program; `copy.deepcopy` returns such things themselves, too."""
_CONTAINERS: Final = frozenset({dict, list, set})


class Shape(enum.Enum):
    """How readers are kept apart."""

    IMMUTABLE = enum.auto()
    """They need not be."""
    TREE = enum.auto()
    """Plain containers, none of them in two places, with immutable leaves: `copied_tree` copies it."""
    GRAPH = enum.auto()
    """Anything else: `copy.deepcopy` copies it, if anything can."""


def shape_of(value: Any) -> Shape:
    """Return what a value is made of.

    Raises:
        RecursionError: If it is nested too deeply for Python.
    """
    survey = _Survey()
    if survey.is_immutable(value):
        return Shape.IMMUTABLE
    return Shape.TREE if survey.is_tree else Shape.GRAPH


class _Survey:
    """A walk through one value, in which each object is looked at once."""

    def __init__(self) -> None:
        self.is_tree = True
        self._tuples: dict[int, bool] = {}
        self._containers: set[int] = set()

    def is_immutable(self, value: Any) -> bool:
        """Return whether nothing that can be reached from a value can be changed."""
        kind = type(value)
        if kind in ATOMS:
            return True
        if kind in _CONTAINERS:
            self._look_into(value, kind)
            return False
        if kind is tuple or kind is frozenset:
            return self._are_immutable(value)
        if isinstance(value, _SHARED):
            return True
        fields = _frozen_fields(value, kind)
        if fields is not None and self._are_immutable(fields, of=value):
            return True
        self.is_tree = False
        return False

    def _look_into(self, value: Any, kind: type) -> None:
        if id(value) in self._containers:
            self.is_tree = False  # in two places, or within itself
            return
        self._containers.add(id(value))
        if kind is not list and not self._look_at_all(value):
            self.is_tree = False  # `copied_tree` does not look into what has a hash
        if kind is not set:
            for item in value.values() if kind is dict else value:
                if type(item) not in ATOMS:
                    self.is_immutable(item)

    def _are_immutable(self, items: Any, *, of: Any = None) -> bool:
        address = id(items if of is None else of)
        if address not in self._tuples:
            self._tuples[address] = self._look_at_all(items)
        return self._tuples[address]

    def _look_at_all(self, items: Iterable[Any]) -> bool:
        # All are looked at, even after one that can be changed, since the walk also asks for trees.
        return not [item for item in items if not self.is_immutable(item)]


def _frozen_fields(value: Any, kind: type) -> list[Any] | None:
    """Return what is in the fields of a named tuple, frozen dataclass or frozen struct; else `None`."""
    own = vars(kind)
    if isinstance(value, tuple) and isinstance(own.get("_fields"), tuple) and not kind.__dictoffset__:
        return list(value)
    # Of the class itself: a subclass that is not frozen may have attributes that are not fields.
    if "__dataclass_params__" in own and own["__dataclass_params__"].frozen:
        names = tuple(field.name for field in dataclasses.fields(value))
        if not getattr(value, "__dict__", {}).keys() <= set(names):
            return None
    elif getattr(getattr(kind, "__struct_config__", None), "frozen", False) and not kind.__dictoffset__:
        names = getattr(kind, "__struct_fields__", ())
    else:
        return None
    return [getattr(value, name, None) for name in names]


def copied_tree(value: Any) -> Any:
    """Return a copy of a value whose shape is a tree, several times as fast as `copy.deepcopy`.

    What is immutable in it is not copied.
    """
    kind = type(value)
    if kind is dict:
        return {key: item if type(item) in ATOMS else copied_tree(item) for key, item in value.items()}
    if kind is list:
        return [item if type(item) in ATOMS else copied_tree(item) for item in value]
    if kind is set:
        return value.copy()
    if kind is tuple:
        items = tuple([copied_tree(item) for item in value])
        return value if all(map(operator.is_, items, value)) else items
    return value
