"""A Redis read and written by greencache, plain redis-py, and the caches of others, in one run."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec
import redis

from benchmarks.timing import Work
from greencache import CacheManager

__all__ = ["Client", "Clients", "repeated"]

Client = Mapping[str, Callable[..., object]]
"""What a cache can do: "get", "mget" and "mset", as far as it has them."""

_CALLS: Final = 50


class Clients:
    """Open caches over one Redis, each with its own names.

    Args:
        url: The Redis.
        values: What each of them holds.
    """

    def __init__(self, url: str, values: Mapping[str, float]) -> None:
        self._url = url
        self._manager = CacheManager.from_urls(l1=None, l2=url, namespace="bench").initialize(strict=True)
        found: dict[str, Client] = {
            "redis-py": self._plain(),
            "greencache": {name: getattr(self._manager, name) for name in ("get", "mget", "mset")},
        }
        base = url.rpartition("/")[0]
        # Each in a database of its own: some of them call keys what redis-py calls them.
        for database, (name, open_client) in enumerate(_OTHERS.items(), start=1):
            try:
                found[name] = open_client(f"{base}/{database}")
            except ImportError as error:
                print(f"not measured, {name}: {error}")
        self.by_name: Mapping[str, Client] = found
        for client in found.values():
            client["mset"](dict(values))

    def _plain(self) -> Client:
        client = redis.Redis.from_url(self._url)
        encode, decode = msgspec.msgpack.encode, msgspec.msgpack.decode

        def get(key: str) -> object:
            return decode(client.get(key))  # type: ignore[arg-type]

        def mget(keys: Iterable[str]) -> object:
            return [decode(data) for data in client.mget(keys)]  # type: ignore[arg-type]

        def mset(values: Mapping[str, float]) -> None:
            # A pipeline by hand: MSET can give no ttl.
            with client.pipeline(transaction=False) as pipeline:
                for key, value in values.items():
                    pipeline.set(key, encode(value), ex=300)
                pipeline.execute()

        return {"get": get, "mget": mget, "mset": mset}

    def works(
        self, verb: str, call: Callable[[Callable[..., object]], object], calls: int
    ) -> dict[str, Work]:
        """Return what each cache that has the verb is to do, by its name.

        Args:
            verb: Which.
            call: Calls it once.
            calls: How often each measurement does so at least.
        """
        return {
            name: repeated(lambda use=client[verb]: call(use), calls)  # type: ignore[misc]
            for name, client in self.by_name.items()
            if verb in client
        }

    def close(self) -> None:
        """Give back the connections."""
        self._manager.close()


def repeated(call: Callable[[], object], calls: int = _CALLS) -> Work:
    """Return work that makes a call many times."""

    def work() -> int:
        for _ in range(calls):
            call()
        return calls

    return work


def _django_redis(url: str) -> Client:
    import django.conf
    from django_redis.cache import RedisCache

    if not django.conf.settings.configured:
        django.conf.settings.configure()
    cache: Any = RedisCache(url, {})
    return {"get": cache.get, "mget": cache.get_many, "mset": cache.set_many}


def _dogpile(url: str) -> Client:
    from dogpile.cache import make_region

    region: Any = make_region().configure("dogpile.cache.redis", arguments={"url": url})
    return {"get": region.get, "mget": region.get_multi, "mset": region.set_multi}


def _cachelib(url: str) -> Client:
    from cachelib import RedisCache

    cache: Any = RedisCache(redis.Redis.from_url(url))
    return {"get": cache.get, "mget": lambda keys: cache.get_many(*keys), "mset": cache.set_many}


_OTHERS: Final[Mapping[str, Callable[[str], Client]]] = {
    "django-redis": _django_redis,
    "dogpile.cache": _dogpile,
    "cachelib": _cachelib,
}
