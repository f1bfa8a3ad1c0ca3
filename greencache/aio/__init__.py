"""The cache for programs that run on an event loop: the same verbs, awaited."""

from greencache.aio.manager import CacheManager

__all__ = ["CacheManager"]
