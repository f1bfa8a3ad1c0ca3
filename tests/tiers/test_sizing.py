"""Estimates of memory, against what the allocator gives out."""

import array
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import gc
import itertools
import time
import tracemalloc
import types
import uuid
from typing import Any

import msgspec
import pydantic
import pytest

from greencache import CacheManager
from greencache.tiers.memory import MemoryTier
from greencache.tiers.sizing import ENTRY_OVERHEAD, estimate_size

NUMBERS = itertools.count(1_000_000)


def text(length=30):
    """Return text that nothing else holds."""
    return f"{next(NUMBERS):0{length}d}"


def when():
    """Return a moment that nothing else holds."""
    return dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=next(NUMBERS))


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Plain:
    name: str
    factor: float
    note: Any = None


@dataclasses.dataclass
class PlainChild(Plain):
    unit: str = dataclasses.field(default_factory=text)


@dataclasses.dataclass(slots=True)
class Slotted:
    name: str
    factor: float
    note: Any = None


@dataclasses.dataclass(slots=True)
class SlottedChild(Slotted):
    unit: str = dataclasses.field(default_factory=text)


class SlottedWithDict(Slotted):
    pass


class Private:
    __slots__ = ("__name",)

    def __init__(self, name):
        self.__name = name


class Struct(msgspec.Struct):
    name: str
    factor: float
    note: Any = None


class StructChild(Struct):
    unit: str = msgspec.field(default_factory=text)


class StructWithoutGC(msgspec.Struct, gc=False):
    name: str
    factor: float


class Model(pydantic.BaseModel):
    name: str
    factor: float


class Rows(list):
    pass


def make(kind):
    """Return a maker of a hundred objects."""
    return lambda: [kind(text(), next(NUMBERS) / 7) for _ in range(100)]


def with_attributes():
    """Return objects of a class that also has slots."""
    made = make(SlottedWithDict)()
    for each in made:
        each.more = text(100)
    return made


VALUES = {
    "text": lambda: text(5_000),
    "bytes": lambda: bytes(5_000),
    "bytearray": lambda: bytearray(5_000),
    "array": lambda: array.array("d", range(1_000)),
    "memoryview": lambda: memoryview(bytes(5_000)),
    "part of a memoryview": lambda: memoryview(bytes(5_000))[:1],
    "list of text": lambda: [text() for _ in range(1_000)],
    "list of float": lambda: [next(NUMBERS) / 3 for _ in range(1_000)],
    "list of int": lambda: [next(NUMBERS) for _ in range(1_000)],
    "list of small int": lambda: [number % 10 for number in range(1_000)],
    "list of None": lambda: [None] * 1_000,
    "list of Decimal": lambda: [decimal.Decimal(next(NUMBERS)) / 7 for _ in range(1_000)],
    "list of datetime": lambda: [when() for _ in range(1_000)],
    "list of UUID": lambda: [uuid.UUID(int=2**100 + next(NUMBERS)) for _ in range(1_000)],
    "list of enum members": lambda: [Colour.RED for _ in range(1_000)],
    "list whose sizes alternate": lambda: [text(2_000 if number % 2 else 10) for number in range(1_280)],
    "list whose large items come last": lambda: [text(2_000 if n > 500 else 10) for n in range(1_000)],
    "subclass of list": lambda: Rows(text() for _ in range(1_000)),
    "tuple": lambda: tuple(text() for _ in range(1_000)),
    "set": lambda: {text() for _ in range(1_000)},
    "frozenset": lambda: frozenset(text() for _ in range(1_000)),
    "deque": lambda: collections.deque(text(1_000) for _ in range(1_000)),
    "dict": lambda: {text(): next(NUMBERS) / 3 for _ in range(1_000)},
    "dict with keys of int": lambda: {next(NUMBERS): text() for _ in range(1_000)},
    "OrderedDict": lambda: collections.OrderedDict((text(), text()) for _ in range(1_000)),
    "defaultdict": lambda: collections.defaultdict(list, ((text(), [text()]) for _ in range(500))),
    "mapping proxy": lambda: types.MappingProxyType({text(): text() for _ in range(1_000)}),
    "rows": lambda: [
        {"name": text(), "factor": next(NUMBERS) / 3, "valid": when(), "tags": [text(), text()]}
        for _ in range(300)
    ],
    "tree": lambda: {
        text(): {text(): [(text(), next(NUMBERS) / 3) for _ in range(10)] for _ in range(10)}
        for _ in range(20)
    },
    "records of many fields": lambda: [[{text(): [text()]}, (text(100),), {text()}] for _ in range(200)],
    "chain": lambda: [[[[[[[[[[text(5_000)]]]]]]]]]],
    "dataclass": make(Plain),
    "inherited dataclass": make(PlainChild),
    "slotted dataclass": make(Slotted),
    "inherited slotted dataclass": make(SlottedChild),
    "slots and a dict": with_attributes,
    "private slots": lambda: [Private(text()) for _ in range(100)],
    "struct": make(Struct),
    "inherited struct": make(StructChild),
    "struct without garbage collection": make(StructWithoutGC),
    "pydantic": lambda: [Model(name=text(), factor=next(NUMBERS) / 7) for _ in range(100)],
}


def measure(build):
    """Return what building a value allocates and keeps, and the value."""
    build()  # caches and free lists
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        value = build()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before, value
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", VALUES)
def test_an_estimate_is_near_what_the_allocator_gave_out(name):
    """Within a quarter, whatever the type: L1 is bounded by this."""
    allocated, value = measure(VALUES[name])
    assert estimate_size(value) == pytest.approx(allocated, rel=0.25)


@pytest.mark.parametrize("kind", [SlottedChild, StructChild, SlottedWithDict, StructWithoutGC, Plain])
def test_an_attribute_counts_wherever_it_is_kept(kind):
    """A megabyte is not overlooked for being in the slot of a base."""
    assert 1_000_000 < estimate_size(kind("x" * 1_000_000, 1.0)) < 1_001_000


def test_what_is_referred_to_twice_counts_once():
    """It takes its memory once."""
    blob = text(10_000)
    assert estimate_size([blob, blob, {"again": blob}]) < 11_000


def test_a_value_that_refers_to_itself_has_an_end():
    """Each object counts once, however often it is met."""
    parent = {"name": text(), "children": []}
    parent["children"] += [{"parent": parent, "name": text()} for _ in range(100)]
    assert estimate_size(parent) < 100_000


def test_the_work_is_bounded():
    """Sixty-four references from each of twenty levels to the next make more paths than can be walked."""
    value = [text()]
    for _ in range(18):
        value = [list(value) for _ in range(2)] if len(value) < 2 else [value] * 64
    wide = [[[[text()] for _ in range(20)] for _ in range(20)] for _ in range(20)]
    started = time.process_time()
    assert estimate_size(value) < 50_000
    assert estimate_size(wide) == pytest.approx(1_300_000, rel=0.25)
    assert time.process_time() - started < 10, "not a measure of speed: endless is what must not be"


def test_no_code_of_the_value_is_run():
    """An attribute that is read could load, lock, or fail."""

    class Lazy(dict):
        def __getattr__(self, name):
            raise RuntimeError(name)

        __iter__ = __len__ = keys = values = items = __getattr__

        __slots__ = ()

    class Strict:
        __slots__ = ("unset",)

        def __getattr__(self, name):
            raise RuntimeError(name)

        @property
        def nbytes(self):
            raise RuntimeError

    class Bare(Strict):
        __slots__ = ()

    class Number(int):
        nbytes = Strict.nbytes
        __slots__ = ()

    assert estimate_size(Colour.RED) == 0
    assert estimate_size([Lazy(a=text(1_000)), Strict(), Bare(), Number(7)]) > 1_000


def test_asking_for_the_size_does_not_make_a_value_larger():
    """Reading `__dict__` would make a dict for each object."""
    made = make(Plain)()
    grown, _ = measure(lambda: estimate_size(made))
    assert grown < 1_000


@pytest.mark.parametrize("kind", [SlottedChild, StructChild, Plain, collections.deque])
def test_l1_holds_no_more_memory_than_its_size(kind):
    """Whatever is stored in it."""

    def build():
        tier = MemoryTier(500_000)
        cache = CacheManager([tier])
        for number in range(200):
            value = [text(5_000)] if kind is collections.deque else (text(5_000), 1.0)
            cache.set(f"k{number}", kind(value) if kind is collections.deque else kind(*value))
        return cache

    allocated, cache = measure(build)
    assert allocated < 600_000
    assert len(cache.mget([f"k{number}" for number in range(200)])) > 50


def test_the_overhead_of_an_entry_is_what_it_was_measured_to_be():
    """Ten thousand entries of one shared value, without tags, turned over twice, as in a cache that lives."""
    count, value = 10_000, b"shared"

    def build():
        cache = CacheManager([MemoryTier(10**9, max_entries=count)])
        for number in range(3 * count):
            cache.set(f"key:{number:07d}", value, ttl=1_000.0 + number)
        return cache

    allocated, cache = measure(build)
    assert cache.get_stats()["L1"].evictions == 2 * count
    characters = len("key:0000000")
    assert pytest.approx(allocated / count - characters, rel=0.15) == ENTRY_OVERHEAD
