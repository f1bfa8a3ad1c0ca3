"""Caches of frameworks: dogpile.cache, Django, Flask-Caching's cachelib."""

from typing import Any

from benchmarks.peers.base import Peer

__all__ = ["Cachelib", "DjangoLocMem", "Dogpile"]


class Dogpile(Peer):
    """A region over a dict."""

    name = "dogpile.cache memory"
    module = "dogpile.cache"
    note = "keeps everything for ever"
    is_bounded = False

    def __init__(self, size: int) -> None:  # noqa: ARG002 -- it takes whatever comes
        from dogpile.cache import make_region

        region: Any = make_region().configure("dogpile.cache.memory", expiration_time=3600)
        self.get, self.set, self.get_or_create = region.get, region.set, region.get_or_create


class DjangoLocMem(Peer):
    """Django's cache in memory."""

    name = "Django LocMemCache"
    module = "django.core.cache"
    note = "pickles each value, so that readers do not share it"

    def __init__(self, size: int) -> None:
        from django.core.cache.backends.locmem import LocMemCache

        options = {"timeout": 3600, "OPTIONS": {"MAX_ENTRIES": size}}
        cache: Any = LocMemCache(f"bench {id(self)}", options)
        self.get, self.set, self.get_or_create = cache.get, cache.set, cache.get_or_set


class Cachelib(Peer):
    """What Flask-Caching uses."""

    name = "cachelib SimpleCache"
    module = "cachelib"
    note = "pickles each value; when full, it looks through all entries for what has expired"

    def __init__(self, size: int) -> None:
        from cachelib import SimpleCache

        cache: Any = SimpleCache(threshold=size, default_timeout=3600)
        self.get, self.set = cache.get, cache.set
