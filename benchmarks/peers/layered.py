"""Caches with more than memory: on disk, and in layers."""

import shutil
import tempfile
from typing import Any

from benchmarks.peers.base import Peer, end_tasks, event_loop

__all__ = ["Cachka", "DiskCache"]


class DiskCache(Peer):
    """diskcache."""

    name = "diskcache.Cache"
    module = "diskcache"
    note = "on disk: SQLite"
    is_slow = True

    def __init__(self, size: int) -> None:
        import diskcache

        self._folder = tempfile.mkdtemp(prefix="greencache-bench-")
        # Its bound is bytes; an entry takes about a hundred.
        self._cache: Any = diskcache.Cache(self._folder, size_limit=max(size * 100, 2**16))
        self.get = self._cache.get
        self.set = lambda key, value: self._cache.set(key, value, expire=3600)

    def close(self) -> None:
        """Remove its files."""
        self._cache.close()
        shutil.rmtree(self._folder, ignore_errors=True)


class Cachka(Peer):
    """cachka, with its memory layer alone."""

    name = "cachka"
    module = "cachka"
    note = "layers of memory, SQLite and Redis; here memory alone"

    def __init__(self, size: int) -> None:
        from cachka.core import AsyncCache, CacheConfig
        from cachka.ttllrucache import MemoryCacheConfig

        memory = MemoryCacheConfig(maxsize=size, ttl=3600)

        async def make() -> Any:
            return AsyncCache(CacheConfig(cache_layers=[("memory", memory)], enable_metrics=False))

        # Its sweeper needs a loop, also where its verbs need none.
        cache = event_loop().run_until_complete(make())
        self.get = cache.get_sync
        self.set = lambda key, value: cache.set_sync(key, value, 3600)

    def close(self) -> None:
        """End its sweeper."""
        end_tasks()
