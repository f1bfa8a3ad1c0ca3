"""CacheManager: the verbs that users call."""

from greencache.manager.manager import CacheManager

__all__ = ["CacheManager"]
