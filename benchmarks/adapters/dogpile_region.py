"""dogpile.cache: regions over a Redis, and over memory."""

from collections.abc import Callable

from benchmarks.adapters.base import Loading, Sharing

__all__ = ["DogpileLock", "DogpileMemory", "DogpileRedis"]


class DogpileLock(Loading):
    """`get_or_create` under the lock that all processes share."""

    name = "dogpile.cache redis, distributed_lock"
    note = "its defaults, thus lock_sleep 0.1 s"

    def __init__(self, url: str) -> None:
        from dogpile.cache import make_region

        # Without `thread_local_lock=False` dogpile warns that the two do not go together.
        arguments = {"url": url, "distributed_lock": True, "thread_local_lock": False}
        self._region = make_region().configure("dogpile.cache.redis", arguments=arguments)

    def get_or_load(self, key: str, loader: Callable[[], bytes]) -> object:
        return self._region.get_or_create(key, loader)


class DogpileRedis(Sharing):
    """Without copies: every read asks the Redis."""

    name = "dogpile.cache redis"
    note = "keeps no copy in the process: every read is a round trip"
    lacks = {"tag": "none: it has no tags"}  # noqa: RUF012 -- declared by the base class

    def __init__(self, url: str) -> None:
        from dogpile.cache import make_region

        self._region = make_region().configure("dogpile.cache.redis", arguments={"url": url})

    def store(self, key: str, value: bytes) -> None:
        self._region.set(key, value)

    def get(self, key: str) -> object:
        return self._region.get(key)

    def invalidate_key(self, key: str) -> None:
        self._region.delete(key)


class DogpileMemory(DogpileRedis):
    """With copies: nothing tells other processes, so that there is nothing to measure."""

    name = "dogpile.cache memory (before redis)"
    note = "its memory backend hears of nothing, and a region has one backend"
    lacks = {  # noqa: RUF012 -- declared by the base class
        "key": "none: until its own expiration_time",
        "tag": "none: it has no tags",
    }
