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
from typing import Any, TypeAlias, TypeVar

__all__ = ["ENTRY_OVERHEAD", "Sizer", "estimate_size", "weigh"]

Sizer: TypeAlias = Callable[[Any], int]
"""Returns the bytes that a value takes."""

_Any = TypeVar("_Any")

ENTRY_OVERHEAD = 350
"""Bytes that an entry takes in L1 beside its key's characters and its value: the key's header, the slots and
times of the entry, and its places in the index and in the eviction policy.

Measured on CPython 3.11 as the growth that `tracemalloc` sees when `CacheManager.set` fills a `MemoryTier`
with 2,000 to 40,000 entries of one shared value without tags, divided by their number, and when it turns that
over three times. The first is 246 to 301; the second 312 to 350 from 10,000 entries on, up to 446 below: a
dict out of which keys go is larger than one that is only filled, and of few entries a larger part is in the
sample of the default policy. An L1 that lives is turned over: one of 5 MB makes a process grow by 0.8 times
that, full of rows, to 1.1 times, full of texts."""

_EXACT = 10_000
"""How many objects are looked at one by one. Most values have fewer, and in those nothing is overlooked:
neither the one huge text among many small ones, nor what is deep down."""
_RECORD = 10
"""Parts that a container is taken to have before it is opened."""
_FLAT = 50_000
"""Of how many numbers and texts in one container each is weighed, which takes a tenth of a microsecond."""
_SAMPLE = 64
_DEPTH = 20
_GOLDEN = (5**0.5 - 1) / 2
_SPREAD = tuple(index * _GOLDEN % 1 for index in range(_SAMPLE))
"""Fractions that are even and have no period: steps of equal width could meet only every second field of a
row. The multiples of the golden ratio are those (Niederreiter, "Random Number Generation and Quasi-Monte
Carlo Methods", 1992, chapter 3)."""

_LEAVES = frozenset(
    {int, float, complex, str, bytes, bytearray, decimal.Decimal, dt.datetime, dt.date, dt.time, dt.timedelta}
)
_PLAIN = frozenset({dict, list, tuple, set, frozenset})
_SHARED = (type(None), bool, type, enum.Enum, types.ModuleType, types.FunctionType, types.BuiltinFunctionType)
"""What belongs to the program, and takes no memory for being in a value too."""
_SMALL_INTS = range(-5, 257)
"""Made once in a process."""

_HAS_GC = 1 << 14  # Py_TPFLAGS_HAVE_GC
_HAS_INLINE_ATTRIBUTES = 1 << 4  # Py_TPFLAGS_MANAGED_DICT
_CLASS_AND_DICT = 2
"""How many references an object has of which somebody has asked for `__dict__`, which then holds them all."""


def weigh(key: str, value: Any, sizer: Sizer) -> int:
    """Return about how many bytes an entry takes in L1 altogether."""
    return ENTRY_OVERHEAD + len(key) + sizer(value)


def estimate_size(value: Any) -> int:
    """Return about how many bytes a value takes, what it refers to included.

    Goes down level by level, and counts an object that is met again only once. Ten thousand objects are
    looked at one by one; beyond these, large containers are judged by a sample of what they hold, and levels
    of many containers by a sample of those, so that the work is bounded whatever the value is.

    What an object refers to is what the garbage collector knows: the items of all kinds of containers, and
    attributes wherever they are kept, with no code of the user's run but `__sizeof__`.

    Args:
        value: Any object.
    """
    if type(value) in _LEAVES:
        return sys.getsizeof(value)
    if isinstance(value, _SHARED):
        return 0
    return int(_Walk(value).size)


class _Walk:
    """A way through all that a value refers to, or through samples of it.

    Args:
        value: Where it begins.
    """

    def __init__(self, value: Any) -> None:
        self.size = float(_own_size(value))
        """Bytes of all objects, those included for which others stand."""
        self._surplus = {id(value): 0.0}
        """By the address of each object that was met, the bytes of others that it stands for."""
        self._left = _EXACT
        # By address: containers that are still to be looked into, and for how many each stands.
        self._below: dict[int, Any] = {}
        self._weights: dict[int, float] = {}
        self._look_at(_parts_of(value), 1.0)
        blurred = 0
        while self._below and blurred < _DEPTH:
            blurred += self._left <= 0
            self._descend()

    def _descend(self) -> None:
        """Look into the containers of the next level."""
        level, factor = _sampled(list(self._below), self._left // _RECORD)
        opened: Sequence[tuple[Sequence[Any], float]]
        opened = [(_parts_of(self._below[address]), self._weights[address]) for address in level]
        self._below, self._weights = {}, {}
        count = sum([len(parts) for parts, _ in opened])
        if count > self._left:
            # By parts rather than by containers, so that a long one that is left out is not left out.
            opened, _ = _sampled(opened)
            factor *= count / max(1, sum(len(parts) for parts, _ in opened))
        for parts, weight in opened:
            self._look_at(parts, weight * factor)

    def _look_at(self, parts: Sequence[Any], weight: float) -> None:
        """Add what is in one container, and note which of its parts may hold others."""
        if len(parts) > self._left and len(parts) > _SAMPLE:
            if len(parts) <= _FLAT:
                parts = list({id(part): part for part in parts}.values())
                if _LEAVES.issuperset(map(type, parts)):
                    self.size += sum(map(sys.getsizeof, parts)) * weight
                    return
            parts, more = _sampled(parts, self._left)
            weight *= more
        self._left -= len(parts)
        surplus = self._surplus
        size = 0
        for part in parts:
            address = id(part)
            if address in surplus:
                if surplus[address]:
                    self._share(address)
                continue
            kind = type(part)
            if kind in _LEAVES:
                own = sys.getsizeof(part) if kind is not int or part not in _SMALL_INTS else 0
            elif kind not in _PLAIN and isinstance(part, _SHARED):
                own = 0
            else:
                own = sys.getsizeof(part) if kind in _PLAIN else _own_size(part)
                self._below[address] = part
                self._weights[address] = weight
            surplus[address] = own * (weight - 1.0)
            size += own
        self.size += size * weight

    def _share(self, address: int) -> None:
        """Count an object once that is met again in a sample: many have this one, and not one like it."""
        self.size -= self._surplus[address]
        self._surplus[address] = 0.0
        if address in self._weights:
            self._weights[address] = 1.0


def _own_size(part: Any) -> int:
    kind = type(part)
    size = sys.getsizeof(part, 64)
    flags = kind.__flags__
    if flags & _HAS_INLINE_ATTRIBUTES:
        held = gc.get_referents(part)
        if len(held) == _CLASS_AND_DICT and any(type(each) is dict for each in held):
            return size
        # The array of attributes and its order, which `getsizeof` leaves out. Asking for `__dict__` instead
        # would make one for each object, of 64 bytes; since others ask, such as codecs, a third is counted.
        return size + 38 + 9 * len(held)
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


def _sampled(parts: Sequence[_Any], most: int = 0) -> tuple[Sequence[_Any], float]:
    """Return some parts, and how many there are for each of them; all, unless there are too many.

    Args:
        parts: What may be many.
        most: How many are not; a sample's worth never is.
    """
    count = len(parts)
    if count <= max(most, _SAMPLE):
        return parts, 1.0
    positions = {int(fraction * count) for fraction in _SPREAD}
    return [parts[position] for position in positions], count / len(positions)
