"""redis-py: recipes with its lock, and its client-side cache."""

from collections.abc import Callable
from typing import Final

import redis

from benchmarks.adapters.base import Loading, Sharing
from greencache.typing import Seconds

__all__ = ["NoLock", "PatientLock", "QuickLock", "TrackingCache"]

_LOCK_TIMEOUT: Final[Seconds] = 30.0


class NoLock(Loading):
    """GET, load, SET: what one writes first."""

    name = "redis-py GET, load, SET"
    note = "no lock: everybody who misses loads"

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)

    def get_or_load(self, key: str, loader: Callable[[], bytes]) -> object:
        found = self._client.get(key)
        if found is None:
            found = loader()
            self._client.set(key, found)
        return found

    def close(self) -> None:
        self._client.close()


class PatientLock(NoLock):
    """The usual recipe: look, lock, look again."""

    name = "redis-py lock"
    note = "redis.Redis.lock around GET, load, SET; blocking, its default sleep of 0.1 s"
    sleep: Seconds = 0.1

    def get_or_load(self, key: str, loader: Callable[[], bytes]) -> object:
        found = self._client.get(key)
        if found is None:
            with self._client.lock(f"lock:{key}", timeout=_LOCK_TIMEOUT, sleep=self.sleep):
                return super().get_or_load(key, loader)
        return found


class QuickLock(PatientLock):
    """The same, asking more often."""

    name = "redis-py lock, sleep 0.01"
    note = "the same, tuned to ask ten times as often"
    sleep = 0.01


class TrackingCache(Sharing):
    """Copies in the process, which the server says are outdated (CLIENT TRACKING, RESP3)."""

    name = "redis-py client-side cache"
    note = "CLIENT TRACKING over RESP3; on a Valkey, redis-py's check of the server's name is lifted"
    lacks = {"tag": "none: it has no tags"}  # noqa: RUF012 -- declared by the base class

    def __init__(self, url: str) -> None:
        from redis.cache import CacheConfig
        from redis.connection import CacheProxyConnection

        # redis-py turns all but "redis" away by name; Valkey speaks the same CLIENT TRACKING.
        with redis.Redis.from_url(url) as plain:
            if "valkey_version" in plain.info("server"):
                CacheProxyConnection.DEFAULT_SERVER_NAME = "valkey"
        self._client = redis.Redis.from_url(url, protocol=3, cache_config=CacheConfig())

    def store(self, key: str, value: bytes) -> None:
        self._client.set(key, value)

    def get(self, key: str) -> object:
        return self._client.get(key)

    def invalidate_key(self, key: str) -> None:
        self._client.delete(key)

    def close(self) -> None:
        self._client.close()
