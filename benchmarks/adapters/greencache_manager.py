"""greencache: L1, one shared Redis, and its bus."""

from collections.abc import Callable

from benchmarks.adapters.base import TAG, Loading, Sharing
from greencache import MISSING, CacheManager

__all__ = ["GreencacheLoading", "GreencacheSharing"]


def _open(url: str) -> CacheManager:
    return CacheManager.from_urls(l1="5MB", l3=url, namespace="bench").initialize(strict=True)


class GreencacheLoading(Loading):
    """`get_or_load` as anybody would call it."""

    name = "greencache"
    note = "L1 and one shared Redis, all else by default"

    def __init__(self, url: str) -> None:
        self._cache = _open(url)

    def get_or_load(self, key: str, loader: Callable[[], bytes]) -> object:
        return self._cache.get_or_load(key, loader)

    def close(self) -> None:
        self._cache.close()


class GreencacheSharing(Sharing):
    """An L1 that hears of invalidations on the bus."""

    name = "greencache"
    note = "L1 and one shared Redis, all else by default"

    def __init__(self, url: str) -> None:
        self._cache = _open(url)

    def store(self, key: str, value: bytes) -> None:
        self._cache.set(key, value, tags=[TAG])

    def get(self, key: str) -> object:
        return self._cache.get(key, MISSING)

    def invalidate_key(self, key: str) -> None:
        self._cache.invalidate(key)

    def invalidate_tag(self, tag: str) -> None:
        self._cache.invalidate(tags=[tag])

    def close(self) -> None:
        self._cache.close()
