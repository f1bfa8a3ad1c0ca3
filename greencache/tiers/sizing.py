"""How many bytes of memory a value takes, as an estimate that is cheap and never endless.

The encoded size of a value, where it is known, says little of that: a MessagePack integer of one byte is an
object of 28 and a place of 8, and a compressed text is larger by any factor. So it is not asked for here.
"""

import contextlib
import datetime as dt
import decimal
import enum
import gc
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

__all__ = ["ENTRY_OVERHEAD", "Sizer", "estimate_size", "weigh"]

Sizer: TypeAlias = Callable[[Any], int]
"""Returns the bytes that a value takes."""

ENTRY_OVERHEAD = 440
"""Bytes that an entry takes in L1 beside its key's characters and its value: the key's header, the slots and
times of the entry, and its places in the index and in the eviction policy.

Measured on CPython 3.11 as the growth that `tracemalloc` sees when `CacheManager.set` fills a `MemoryTier`
with entries of one shared value without tags, divided by their number, and when it turns that over three
times. The first is 357 to 408, the second 412 to 525, by how lately the dicts behind it have grown, since
dicts out of which keys go are larger; most sizes are near this, and an L1 that lives is turned over."""

_DEPTH = 20
_SAMPLE = 64
_GOLDEN = (5**0.5 - 1) / 2
_SPREAD = tuple(index * _GOLDEN % 1 for index in range(_SAMPLE))
"""Fractions that are even and have no period: steps of equal width could meet only every second field of a
row. The multiples of the golden ratio are those (Niederreiter, "Random Number Generation and Quasi-Monte
Carlo Methods", 1992, chapter 3)."""

_LEAVES = frozenset(
    {int, float, complex, str, bytes, bytearray, decimal.Decimal, dt.datetime, dt.date, dt.time, dt.timedelta}
)
_SHARED = (type(None), bool, type, enum.Enum, types.ModuleType, types.FunctionType, types.BuiltinFunctionType)
"""What belongs to the program, and takes no memory for being in a value too."""
_SMALL_INTS = range(-5, 257)
"""Made once in a process."""

_HAS_GC = 1 << 14  # Py_TPFLAGS_HAVE_GC
_HAS_INLINE_ATTRIBUTES = 1 << 4  # Py_TPFLAGS_MANAGED_DICT


def weigh(key: str, value: Any, sizer: Sizer) -> int:
    """Return about how many bytes an entry takes in L1 altogether."""
    return ENTRY_OVERHEAD + len(key) + sizer(value)


def estimate_size(value: Any, depth: int = _DEPTH) -> int:
    """Return about how many bytes a value takes, what it refers to included.

    Goes down level by level, and counts an object that is met again only once. Large containers are judged
    by a sample of what they hold, and levels of many containers by a sample of those, so that the work is
    bounded whatever the value is.

    What an object refers to is what the garbage collector knows: the items of all kinds of containers, and
    attributes wherever they are kept, with no code of the user's run but `__sizeof__`.

    Args:
        value: Any object.
        depth: How many levels of references to follow.
    """
    if type(value) in _LEAVES:
        return sys.getsizeof(value)
    if isinstance(value, _SHARED):
        return 0
    size = float(_own_size(value))
    seen = {id(value)}
    level = [(value, 1.0)]
    for _ in range(depth):
        if not level:
            break
        containers, factor = _sampled(level)
        level = []
        for item, weight in containers:
            # How many objects there are for each that is looked at.
            parts, more = _sampled(_parts_of(item))
            stands_for = weight * factor * more
            shallow, below = _look_at(parts, seen)
            size += shallow * stands_for
            level += [(part, stands_for) for part in below]
    return int(size)


def _look_at(parts: Sequence[Any], seen: set[int]) -> tuple[int, list[Any]]:
    """Return the bytes of new objects by themselves, and which of them may refer to others."""
    size = 0
    below = []
    for part in parts:
        address = id(part)
        if address in seen:
            continue
        seen.add(address)
        kind = type(part)
        if kind in _LEAVES:
            if kind is not int or part not in _SMALL_INTS:
                size += sys.getsizeof(part)
        elif not isinstance(part, _SHARED):
            size += _own_size(part)
            below.append(part)
    return size, below


def _own_size(part: Any) -> int:
    kind = type(part)
    size = sys.getsizeof(part, 64)
    flags = kind.__flags__
    if flags & _HAS_INLINE_ATTRIBUTES:
        # Their array of pointers and its order, which `getsizeof` leaves out. Asking for `__dict__` instead
        # would make one for each object.
        return size + 16 + 9 * len(gc.get_referents(part))
    if not flags & _HAS_GC and isinstance(getattr(kind, "nbytes", None), types.GetSetDescriptorType):
        return max(size, int(part.nbytes))  # an array of an extension module, which may be a view
    return size


def _parts_of(item: Any) -> Sequence[Any]:
    kind = type(item)
    if kind is list or kind is tuple:
        return item[:]  # type: ignore[no-any-return]  # a copy, since other threads may change a list
    if not kind.__flags__ & _HAS_GC:
        return list(_slots_of(item))
    if not isinstance(item, dict):
        return gc.get_referents(item)
    # The garbage collector leaves out keys that are text. Unbound, since a subclass may override them.
    keys = dict.keys(item)
    if kind is dict:
        return [*keys, *item.values()]
    return list({id(part): part for part in (*keys, *gc.get_referents(item))}.values())


def _slots_of(item: Any) -> Iterator[Any]:
    """Yield what is in the slots, inherited ones too, of an object that the garbage collector passes by."""
    for base in type(item).__mro__:
        for member in vars(base).values():
            if isinstance(member, types.MemberDescriptorType):
                with contextlib.suppress(AttributeError):  # nothing is in it
                    yield member.__get__(item)


def _sampled(parts: Sequence[Any]) -> tuple[Sequence[Any], float]:
    """Return some parts, and how many there are for each of them."""
    count = len(parts)
    if count <= _SAMPLE:
        return parts, 1.0
    positions = {int(fraction * count) for fraction in _SPREAD}
    return [parts[position] for position in positions], count / len(positions)
