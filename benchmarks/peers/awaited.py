"""Caches for event loops."""

from typing import Any

from benchmarks.peers.base import Peer, end_tasks

__all__ = ["Aiocache", "Cashews"]


class Aiocache(Peer):
    """aiocache."""

    name = "aiocache memory, awaited"
    module = "aiocache"
    note = "has no bound; each ttl is a timer of the loop"
    is_awaited = True
    is_bounded = False

    def __init__(self, size: int) -> None:  # noqa: ARG002 -- it takes whatever comes
        from aiocache import SimpleMemoryCache

        cache: Any = SimpleMemoryCache()
        self.get, self.set = cache.get, cache.set


class Cashews(Peer):
    """cashews."""

    name = "cashews memory, awaited"
    module = "cashews"
    is_awaited = True

    def __init__(self, size: int) -> None:
        from cashews import Cache

        cache: Any = Cache()
        cache.setup(f"mem://?size={size}&check_interval=3600")
        self.get = cache.get
        self.set = lambda key, value: cache.set(key, value, expire=3600)

    def close(self) -> None:
        """End its sweeper."""
        end_tasks()
