"""How many bytes of memory a value takes, as an estimate that is cheap and never endless."""

import sys
from itertools import islice
from typing import Any

__all__ = ["ENTRY_OVERHEAD", "estimate_size"]

ENTRY_OVERHEAD = 560
"""Bytes that an entry takes in L1 beside its key's and its value's own: its slots and times, its stamps,
and its places in the index and in the eviction policy."""

_SCALARS = frozenset({int, float, bool, type(None), str, bytes, complex})
_SAMPLE = 64
_DEPTH = 8


def estimate_size(value: Any, depth: int = _DEPTH) -> int:
    """Return about how many bytes a value takes, what it refers to included.

    Large containers are judged by a sample of their items, deep ones down to a limit; an object referred
    to twice counts twice.

    Args:
        value: Any object.
        depth: How many levels of containers to follow.
    """
    kind = type(value)
    size = sys.getsizeof(value, 64)
    if kind in _SCALARS or depth == 0:
        return size
    if isinstance(value, dict):
        return size + _sampled(value.items(), len(value), depth, pairs=True)
    if isinstance(value, list | tuple | set | frozenset):
        return size + _sampled(value, len(value), depth)
    return size + _attributes(value, depth)


def _sampled(items: Any, count: int, depth: int, *, pairs: bool = False) -> int:
    sample = list(islice(items, _SAMPLE))
    if not sample:
        return 0
    flat = [part for pair in sample for part in pair] if pairs else sample
    total = sum(estimate_size(item, depth - 1) for item in flat)
    return total * count // len(sample)


def _attributes(value: Any, depth: int) -> int:
    own = getattr(value, "__dict__", None)
    if isinstance(own, dict):
        return estimate_size(own, depth - 1)
    names = getattr(type(value), "__slots__", ())
    slots = (names,) if isinstance(names, str) else names
    return sum(estimate_size(getattr(value, name, None), depth - 1) for name in islice(slots, _SAMPLE))
