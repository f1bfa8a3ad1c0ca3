"""Lowering: a value as MessagePack or JSON can write it, with tags where they would lose a type.

The encoders of msgspec write tuples as lists, enums as their values and dataclasses as dicts, without a word.
So a value is looked through first. The look is cheap for plain values, since a whole container is checked by
one call that runs in C (`frozenset.issuperset` over `map(type, ...)`), and nothing is copied.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from greencache.codecs.serializers.records import TypeRegistry
from greencache.codecs.serializers.tags import DEEPER, DICT, MAX_DEPTH, OBJECT, Refusal, Tag

__all__ = ["Leaves", "Lowering", "Wrap", "checked_text", "is_short"]

Wrap: TypeAlias = Callable[[Tag, Any], Any]
"""Makes what stands for a tagged value in a format, from the tag and its lowered text or list."""

Leaves: TypeAlias = Mapping[type, Callable[[Any], bool]]
"""Types of which some values are plain, and how to tell; the others need their tag."""


class Lowering:
    """Lowers values for one format.

    Args:
        types: Is told of the classes met.
        wrap: Makes what stands for a tagged value.
        tags: The tag of each type that has one.
        plain: Types that the format writes exactly, whatever the value.
        leaves: Types that it writes exactly for some values.
        keys: Types that it writes exactly as keys of a dict.
        reserved: A key that a plain dict must not have.
        stride: Wrap a list or dict this deep, and again after as many levels; 0 for never.
    """

    __slots__ = ("_any_key", "_keys", "_leaves", "_plain", "_reserved", "_stride", "_tags", "_types", "_wrap")

    def __init__(
        self,
        types: TypeRegistry,
        wrap: Wrap,
        *,
        tags: Mapping[type, Tag],
        plain: frozenset[type],
        keys: frozenset[type],
        leaves: Leaves | None = None,
        reserved: str | None = None,
        stride: int = 0,
    ) -> None:
        self._types = types
        self._wrap = wrap
        self._tags = tags
        self._plain = plain
        self._leaves = leaves or {}
        self._keys = keys
        self._reserved = reserved
        self._stride = stride
        self._any_key = reserved is None and not self._leaves.keys() & keys

    def lower(self, value: Any, depth: int = 0) -> Any:
        """Return the value itself if it is plain, else what stands for it.

        Raises:
            Refusal: If nothing can stand for it.
        """
        kind = type(value)
        if kind in self._plain:
            return value
        if kind is dict or kind is list:
            lowered = self._lower_dict(value, depth) if kind is dict else self._lower_list(value, depth)
            is_too_deep = depth and self._stride and depth % self._stride == 0
            return self._wrap(DEEPER, lowered) if is_too_deep else lowered
        if kind in self._leaves and self._leaves[kind](value):
            return value
        tag = self._tags.get(kind)
        if tag is None:
            return self._lower_object(value, depth)
        body = tag.dump(value)
        return self._wrap(tag, body if tag.is_text else self._lower_list(body, depth))

    def _lower_list(self, items: list[Any], depth: int) -> list[Any]:
        if self._plain.issuperset(map(type, items)):
            return items
        _check(depth)
        lowered: list[Any] = []
        try:
            for item in items:
                lowered.append(self.lower(item, depth + 1))  # noqa: PERF401 -- the length is the place of a refusal
        except Refusal as refusal:
            refusal.path.append(f"[{len(lowered)}]")
            raise
        # What held no tag is handed back itself, which is how a serializer knows.
        return items if all(map(operator.is_, items, lowered)) else lowered

    def _lower_dict(self, mapping: dict[Any, Any], depth: int) -> Any:
        if not (self._keys.issuperset(map(type, mapping)) and (self._any_key or self._are_plain(mapping))):
            return self._wrap(DICT, self._lower_list(DICT.dump(mapping), depth))
        if self._plain.issuperset(map(type, mapping.values())):
            return mapping
        _check(depth)
        lowered: dict[Any, Any] = {}
        key: Any = None
        try:
            for key, item in mapping.items():
                lowered[key] = self.lower(item, depth + 1)
        except Refusal as refusal:
            refusal.path.append(f"[{key!r:.40}]")
            raise
        return mapping if all(map(operator.is_, mapping.values(), lowered.values())) else lowered

    def _are_plain(self, keys: dict[Any, Any]) -> bool:
        leaves = self._leaves
        return self._reserved not in keys and all(
            leaves[type(key)](key) for key in keys if type(key) in leaves
        )

    def _lower_object(self, value: Any, depth: int) -> Any:
        record = self._types.meet(type(value))
        body = [record.ref, *record.dump(value)]
        try:
            return self._wrap(OBJECT, self._lower_list(body, depth))
        except Refusal as refusal:
            # The step into the list is ours, not the user's.
            if refusal.path:
                refusal.path.pop()
            raise


def is_short(value: int) -> bool:
    """Return whether an integer fits in 64 bits."""
    return -(2**63) <= value < 2**64


def checked_text(value: str) -> bool:
    """Return that a text can be written as UTF-8.

    Raises:
        Refusal: If it cannot.
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Refusal("a str with lone surrogates, which is not UTF-8") from None
    return True


def _check(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise Refusal(f"containers nested deeper than {MAX_DEPTH}, or within themselves")
