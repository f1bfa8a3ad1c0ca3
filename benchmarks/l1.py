"""Hits in L1: a thousand keys, one thread, nothing else."""

import functools
import threading
from collections.abc import Callable, Mapping, MutableMapping

import cachetools

from benchmarks.timing import Work
from benchmarks.verdicts import Budget
from greencache import CacheManager, cached
from greencache.tiers.base import Tier

KEYS = [f"factor:region{number}:co2" for number in range(1000)]


def contenders() -> dict[str, Work]:
    """Return what is compared, by name."""
    filled = dict.fromkeys(KEYS, 1.0)
    manager = CacheManager(l1_of(5_000_000))
    manager.mset(filled, ttl=None)

    @cached(ttl=None, cache_manager=manager, key="decorated:{key}")
    def decorated(key: str) -> str:
        return key

    @functools.lru_cache(None)
    def builtin(key: str) -> str:
        return key

    found = {
        "dict.get": reads(filled.get),
        "functools.lru_cache": reads(builtin),
        "greencache get": reads(manager.get),
        "greencache get_or_load": loads(manager),
        "greencache @cached": reads(decorated),
        "cachetools.LRUCache + RLock": locked(cachetools.LRUCache(2000), filled),
        "cachetools.TTLCache + RLock": locked(cachetools.TTLCache(2000, 3600), filled),
        "@cachetools.cached + RLock": reads(memoised()),
    }
    return found | optional(filled)


def l1_of(size: int) -> list[Tier]:
    """Return the tiers of a cache in memory."""
    from greencache.tiers.memory import MemoryTier

    return [MemoryTier(size)]


def reads(read: Callable[[str], object]) -> Work:
    """Return work that reads every key once."""

    def work() -> int:
        for key in KEYS:
            read(key)
        return len(KEYS)

    return work


def loads(manager: CacheManager) -> Work:
    """Return work that asks for every key with a loader that is never called."""

    def never() -> float:
        raise AssertionError("a hit must not load")

    return reads(lambda key: manager.get_or_load(key, never))


def locked(cache: MutableMapping[str, float], values: Mapping[str, float]) -> Work:
    """Return work that reads under a lock, as cachetools asks for."""
    lock = threading.RLock()
    cache.update(values)

    def read(key: str) -> float | None:
        with lock:
            return cache.get(key)

    return reads(read)


def memoised() -> Callable[[str], str]:
    """Return a function memoised by cachetools."""

    @cachetools.cached(cachetools.TTLCache(2000, 3600), lock=threading.RLock())
    def function(key: str) -> str:
        return key

    return function


def optional(values: Mapping[str, float]) -> dict[str, Work]:
    """Return the contenders that are installed."""
    found: dict[str, Work] = {}
    try:
        import cachebox
    except ImportError:
        pass
    else:
        box: cachebox.LRUCache[str, float] = cachebox.LRUCache(2000)
        box.update(values)
        found["cachebox.LRUCache.get"] = reads(box.get)
        found["@cachebox.cached"] = reads(cachebox.cached(cachebox.LRUCache(2000))(lambda key: key))
    try:
        from django.core.cache.backends.locmem import LocMemCache
    except ImportError:
        pass
    else:
        local = LocMemCache("bench", {"OPTIONS": {"MAX_ENTRIES": 2000}})
        local.set_many(values)
        found["Django LocMemCache.get"] = reads(local.get)
    try:
        from cachelib import SimpleCache
    except ImportError:
        pass
    else:
        simple = SimpleCache(threshold=2000)
        simple.set_many(dict(values))
        found["cachelib.SimpleCache.get"] = reads(simple.get)
    try:
        from dogpile.cache import make_region
    except ImportError:
        pass
    else:
        region = make_region().configure("dogpile.cache.memory")
        region.set_multi(values)
        found["dogpile get"] = reads(region.get)
        found["dogpile get_or_create"] = reads(lambda key: region.get_or_create(key, lambda: 1.0))
    return found


_GET, _CACHED = "CacheManager.get, L1 hit", "@cached function, L1 hit"

BUDGETS = [
    Budget(_GET, "greencache get", "dict.get", "at most", 8.0),
    Budget(_GET, "cachetools.TTLCache + RLock", "greencache get", "at least", 5.0),
    Budget(_GET, "Django LocMemCache.get", "greencache get", "at least", 10.0),
    Budget(_CACHED, "greencache @cached", "@cachebox.cached", "at most", 1.0),
    Budget(_CACHED, "dogpile get_or_create", "greencache @cached", "at least", 8.0),
]
