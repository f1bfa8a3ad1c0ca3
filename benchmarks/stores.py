"""A miss, a store, and the eviction that makes room for it: each key is asked for once, in a full cache."""

import itertools
import threading
from collections.abc import Callable, MutableMapping
from typing import Any

import cachetools

from benchmarks.timing import Work
from benchmarks.verdicts import Budget
from greencache import CacheManager
from greencache.entry import Entry
from greencache.stats import TierCounters
from greencache.tiers.memory import MemoryTier

__all__ = ["BUDGETS", "contenders"]

_ENTRIES = 2_000
_CALLS = 1_000
_PATH = "L1 miss + store + eviction, steady state"


def contenders() -> dict[str, Work]:
    """Return what is compared, by name."""
    manager = CacheManager([MemoryTier(50_000_000, max_entries=_ENTRIES)])
    loading = CacheManager([MemoryTier(50_000_000, max_entries=_ENTRIES)])
    tier = MemoryTier(50_000_000, max_entries=_ENTRIES, counters=TierCounters())

    def miss_and_set(key: str) -> None:
        if manager.get(key) is None:
            manager.set(key, 1.0)

    def load(key: str) -> None:
        loading.get_or_load(key, _one)

    def reserve_and_fill(key: str) -> None:
        leases = tier.reserve_many((key,))
        tier.fill_many({key: Entry(1.0, 1e12)}, leases)

    found = {
        "greencache get, set": _fresh_keys(miss_and_set),
        "greencache get_or_load, load": _fresh_keys(load),
        "greencache L1 alone, lease and fill": _fresh_keys(reserve_and_fill),
        "cachetools.TTLCache + RLock get, set": _fresh_keys(_locked(cachetools.TTLCache(_ENTRIES, 3600))),
        "cachetools.LRUCache + RLock get, set": _fresh_keys(_locked(cachetools.LRUCache(_ENTRIES))),
    }
    try:
        import cachebox
    except ImportError:
        return found
    box: cachebox.TTLCache[str, float] = cachebox.TTLCache(_ENTRIES, 3600.0)
    return found | {"cachebox.TTLCache get, set": _fresh_keys(_plain(box))}


def _one() -> float:
    return 1.0


def _fresh_keys(use: Callable[[str], object]) -> Work:
    numbers = itertools.count()

    def work() -> int:
        for number in itertools.islice(numbers, _CALLS):
            use(f"factor:region{number}:co2")
        return _CALLS

    for _ in range(_ENTRIES // _CALLS + 1):
        work()
    return work


def _locked(cache: MutableMapping[str, float]) -> Callable[[str], None]:
    lock = threading.RLock()

    def use(key: str) -> None:
        with lock:
            found = cache.get(key)
        if found is None:
            with lock:
                cache[key] = 1.0

    return use


def _plain(cache: Any) -> Callable[[str], None]:
    def use(key: str) -> None:
        if cache.get(key) is None:
            cache[key] = 1.0

    return use


BUDGETS = [
    Budget(_PATH, "cachetools.TTLCache + RLock get, set", "greencache get, set", "at least", 4.0),
]
