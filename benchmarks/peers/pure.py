"""cachetools, under the lock that its documentation asks for."""

import threading
from collections.abc import Callable, MutableMapping
from typing import Any

import cachetools

from benchmarks.peers.base import Peer

__all__ = ["CachetoolsLRU", "CachetoolsTTL"]


class CachetoolsLRU(Peer):
    """An LRU cache."""

    name = "cachetools.LRUCache + RLock"
    module = "cachetools"
    note = "has no ttl"

    def __init__(self, size: int) -> None:
        self._cache: MutableMapping[str, Any] = cachetools.LRUCache(size)
        self._use()

    def _use(self) -> None:
        lock, cache = threading.RLock(), self._cache

        def get(key: str) -> Any:
            with lock:
                return cache.get(key)

        def store(key: str, value: Any) -> None:
            with lock:
                cache[key] = value

        def get_or_create(key: str, make: Callable[[], Any]) -> Any:
            found = get(key)
            if found is None:
                store(key, found := make())
            return found

        self.get, self.set, self.get_or_create = get, store, get_or_create


class CachetoolsTTL(CachetoolsLRU):
    """With a ttl."""

    name = "cachetools.TTLCache + RLock"
    note = "get_or_create is written out: two threads may both make the value"

    def __init__(self, size: int) -> None:
        self._cache = cachetools.TTLCache(size, 3600)
        self._use()
