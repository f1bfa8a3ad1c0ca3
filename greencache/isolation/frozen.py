"""Dicts, lists and sets that cannot be changed, all the way down.

They are subclasses of the built-in ones, so that what reads those reads these: `isinstance`, `==`, `json`,
templates, unpacking. What makes a new container, such as `copy()`, `|` or `+`, makes a plain one. What
`copy.deepcopy` makes is plain all the way down and the caller's own to change; so is what is unpickled.

They keep honest callers from accidents. Who writes `dict.__setitem__(value, …)` means to break in, and does.
"""

import copy
import operator
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from greencache.errors import SharedValueError
from greencache.isolation.shapes import ATOMS, Shape, shape_of

__all__ = ["FrozenDict", "FrozenList", "FrozenSet", "Unfreezable", "freeze", "thaw"]

C = TypeVar("C", bound=type)


class Unfreezable(Exception):  # noqa: N818 -- not an error: the value is copied for each reader instead
    """A value holds something that could be changed and cannot be frozen."""


def _refuse(self: Any, *_: Any, **__: Any) -> NoReturn:
    raise SharedValueError(
        f"expected this {type(self).__name__} to be read only, got a change to it: it comes from a"
        " cache with isolation 'frozen', and others read it too; copy.deepcopy() of it can be changed"
    )


def _without(*names: str) -> Callable[[C], C]:
    """Return a decorator of classes that takes methods away."""

    def decorate(cls: C) -> C:
        for name in names:
            setattr(cls, name, _refuse)
        return cls

    return decorate


@_without("__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem", "setdefault", "update")
class FrozenDict(dict[Any, Any]):
    """A dict that cannot be changed."""

    __slots__ = ()

    def __copy__(self) -> dict[Any, Any]:
        return dict(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[Any, Any]:
        return copy.deepcopy(dict(self), memo)

    def __reduce_ex__(self, _: Any) -> tuple[Any, ...]:
        return dict, (dict(self),)


@_without(
    "__setitem__", "__delitem__", "__iadd__", "__imul__",
    "append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort",
)  # fmt: skip
class FrozenList(list[Any]):
    """A list that cannot be changed."""

    __slots__ = ()

    def __copy__(self) -> list[Any]:
        return list(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Any]:
        return copy.deepcopy(list(self), memo)

    def __reduce_ex__(self, _: Any) -> tuple[Any, ...]:
        return list, (list(self),)


@_without(
    "__iand__", "__ior__", "__isub__", "__ixor__", "add", "clear", "difference_update", "discard",
    "intersection_update", "pop", "remove", "symmetric_difference_update", "update",
)  # fmt: skip
class FrozenSet(set[Any]):
    """A set that cannot be changed; unlike a `frozenset` it is a `set` to who asks, and has no hash."""

    __slots__ = ()

    def __copy__(self) -> set[Any]:
        return set(self)

    copy = __copy__

    def __deepcopy__(self, memo: dict[int, Any]) -> set[Any]:
        return copy.deepcopy(set(self), memo)

    def __reduce_ex__(self, _: Any) -> tuple[Any, ...]:
        return set, (set(self),)


def freeze(value: Any) -> Any:
    """Return a value that nobody can change and that shares nothing changeable with the given one.

    Args:
        value: Dicts, lists, sets and tuples of each other and of what is immutable; returned itself if it
            cannot be changed anyway.

    Raises:
        Unfreezable: If there is something else in it, or it holds itself.
        RecursionError: If it is nested too deeply for Python.
    """
    return _Freezer().freeze(value)


class _Freezer:
    """Freezes one value. What it holds twice is frozen once, so that a diamond stays one."""

    def __init__(self) -> None:
        self._done: dict[int, Any] = {}

    def freeze(self, value: Any) -> Any:
        kind = type(value)
        if kind in ATOMS:
            return value
        address = id(value)
        if address not in self._done:
            self._done[address] = Unfreezable  # while it is under way: who meets it again is inside it
            self._done[address] = self._frozen(value, kind)
        if self._done[address] is Unfreezable:
            raise Unfreezable
        return self._done[address]

    def _frozen(self, value: Any, kind: type) -> Any:
        if kind is dict or kind is FrozenDict:
            if all(map(_is_immutable, value)):
                return FrozenDict({key: self.freeze(item) for key, item in value.items()})
        elif kind is list or kind is FrozenList:
            return FrozenList(map(self.freeze, value))
        elif kind is set or kind is FrozenSet:
            if all(map(_is_immutable, value)):
                return FrozenSet(value)
        elif kind is tuple or (issubclass(kind, tuple) and _is_named_tuple(kind)):
            items = list(map(self.freeze, value))
            return value if all(map(operator.is_, items, value)) else tuple.__new__(kind, items)
        elif _is_immutable(value):
            return value
        raise Unfreezable


def _is_immutable(value: Any) -> bool:
    return shape_of(value) is Shape.IMMUTABLE


def _is_named_tuple(kind: type) -> bool:
    # Without a dict of its own, or it would hold more than its items.
    return isinstance(getattr(kind, "_fields", None), tuple) and not kind.__dictoffset__


def thaw(value: Any) -> Any:
    """Return a frozen value with plain containers in it; what holds none is returned itself."""
    kind = type(value)
    if kind is FrozenDict:
        return {key: thaw(item) for key, item in value.items()}
    if kind is FrozenList:
        return list(map(thaw, value))
    if kind is FrozenSet:
        return set(value)
    if isinstance(value, tuple):
        items = list(map(thaw, value))
        return value if all(map(operator.is_, items, value)) else tuple.__new__(kind, items)
    return value
