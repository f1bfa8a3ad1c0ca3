"""Ways to cache over a Redis, each behind the same few methods; one module for each library."""

from typing import Final

from benchmarks.adapters.base import Contender, Loading, Sharing
from benchmarks.adapters.dogpile_region import DogpileLock, DogpileMemory, DogpileRedis
from benchmarks.adapters.greencache_manager import GreencacheLoading, GreencacheSharing
from benchmarks.adapters.redis_client import NoLock, PatientLock, QuickLock, TrackingCache

__all__ = ["LOADING", "SHARING", "Contender", "Loading", "Sharing"]

LOADING: Final[tuple[type[Loading], ...]] = (GreencacheLoading, DogpileLock, PatientLock, QuickLock, NoLock)
"""Who is compared on one cold key."""

SHARING: Final[tuple[type[Sharing], ...]] = (GreencacheSharing, TrackingCache, DogpileRedis, DogpileMemory)
"""Who is compared on invalidations that other processes must hear of."""
