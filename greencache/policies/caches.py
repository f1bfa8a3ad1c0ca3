"""Caches with the interface of cachetools, in which a hit only sets a mark."""

import random
from collections.abc import Callable, Hashable
from typing import Self, TypeVar

from cachetools import Cache, RRCache

from greencache.policies.adaptive import AdaptiveOrder
from greencache.policies.greedy_dual import GreedyDualOrder
from greencache.policies.order import MOST_MARKS, Mark, Order
from greencache.policies.s3fifo import S3FIFOOrder
from greencache.policies.sieve import SieveOrder

__all__ = ["DefaultCache", "GDSFCache", "RandomCache", "S3FIFOCache", "SieveCache"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Priced(Mark):
    """A mark that knows what loading its value costs."""

    __slots__ = ("cost",)

    def __init__(self, cost: float) -> None:
        super().__init__()
        self.cost = cost


class _MarkingCache(Cache[K, V]):
    """A cache whose hits take no lock.

    As with cachetools, threads that share it lock around whatever changes it. Reads need no lock beside that:
    each step of a hit is one lookup or one store, and what can go wrong between them is that a mark is off by
    one, or set on a key that has just gone.

    A copy has the keys and values, in the order of their arrival, and learns for itself.

    Args:
        maxsize: What the values may weigh together.
        getsizeof: Returns what a value weighs; 1 without it.
    """

    def __init__(self, maxsize: float, getsizeof: Callable[[V], float] | None = None) -> None:
        Cache.__init__(self, maxsize, getsizeof)
        self._marks: dict[K, Mark] = {}
        self._order = self._new_order()

    def _new_order(self) -> Order:
        raise NotImplementedError

    def _new_mark(self, value: V) -> Mark:  # noqa: ARG002 -- for those that weigh by cost
        return Mark()

    def __getitem__(self, key: K) -> V:
        value = Cache.__getitem__(self, key)
        # Not there if `__missing__` stored nothing, or if another thread has evicted the key since.
        mark = self._marks.get(key)
        if mark is not None and mark.marked < MOST_MARKS:
            mark.marked += 1
        return value

    def __setitem__(self, key: K, value: V) -> None:
        Cache.__setitem__(self, key, value)  # refuses what is too large, and makes room by `popitem`
        mark = self._marks.get(key) or self._new_mark(value)
        self._order.add(key, mark, self.getsizeof(value))
        self._marks[key] = mark

    def __delitem__(self, key: K) -> None:
        Cache.__delitem__(self, key)
        self._order.discard(key)
        del self._marks[key]

    def popitem(self) -> tuple[K, V]:
        """Remove and return the pair that is worth least."""
        try:
            key: K = self._order.evict()  # type: ignore[assignment]
        except KeyError:
            raise KeyError(f"{type(self).__name__} is empty") from None
        value = Cache.__getitem__(self, key)
        del self[key]
        return key, value

    def clear(self) -> None:
        """Remove everything, what was learnt included."""
        Cache.clear(self)
        self._marks.clear()
        self._order = self._new_order()

    def __copy__(self) -> Self:
        copied = type(self).__new__(type(self))
        copied.__dict__.update(self.__dict__)
        _MarkingCache.__init__(copied, self.maxsize, vars(self).get("getsizeof"))
        for key in self._marks:
            _MarkingCache.__setitem__(copied, key, Cache.__getitem__(self, key))
        return copied


class S3FIFOCache(_MarkingCache[K, V]):
    """Evicts as S3-FIFO (Yang et al., SOSP 2023): scans and one-hit wonders pass through a small queue."""

    def _new_order(self) -> Order:
        return S3FIFOOrder(self.maxsize, self._marks)


class SieveCache(_MarkingCache[K, V]):
    """Evicts as SIEVE (Zhang et al., NSDI 2024): one queue, and a hand that spares what was hit."""

    def _new_order(self) -> Order:
        return SieveOrder(self._marks)


class DefaultCache(_MarkingCache[K, V]):
    """Evicts as a form of S3-FIFO or nearly as LRU, whichever does best with a sample of its own keys."""

    def _new_order(self) -> Order:
        return AdaptiveOrder(self.maxsize, self._marks)


class GDSFCache(_MarkingCache[K, V]):
    """Evicts as GreedyDual-Size-Frequency (Cherkasova, 1998): what is small, often hit, dear to load stays.

    Args:
        maxsize: What the values may weigh together.
        getsizeof: Returns what a value weighs; 1 without it.
        getcost: Returns the seconds that loading a value takes; all alike without it.
    """

    def __init__(
        self,
        maxsize: float,
        getsizeof: Callable[[V], float] | None = None,
        getcost: Callable[[V], float] | None = None,
    ) -> None:
        super().__init__(maxsize, getsizeof)
        self._getcost = getcost

    def _new_order(self) -> Order:
        return GreedyDualOrder(self._marks)

    def _new_mark(self, value: V) -> Mark:
        return Mark() if self._getcost is None else _Priced(self._getcost(value))


class RandomCache(RRCache[K, V]):
    """Evicts any entry, each with the same probability.

    Args:
        maxsize: What the values may weigh together.
        getsizeof: Returns what a value weighs; 1 without it.
    """

    def __init__(self, maxsize: float, getsizeof: Callable[[V], float] | None = None) -> None:
        RRCache.__init__(self, maxsize, random.choice, getsizeof)
