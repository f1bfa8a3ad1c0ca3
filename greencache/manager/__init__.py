"""CacheManager: the verbs that users call."""

from greencache.manager.l1 import L1
from greencache.manager.manager import CacheManager

__all__ = ["L1", "CacheManager"]
