"""greencache itself."""

from benchmarks.peers.base import Peer
from greencache import CacheManager
from greencache.tiers.memory import MemoryTier

__all__ = ["GreencacheL1"]


class GreencacheL1(Peer):
    """L1 alone."""

    name = "greencache"
    module = "greencache"
    note = "L1 alone, all else by default: leases, statistics, bounded by bytes as well"

    def __init__(self, size: int) -> None:
        cache = CacheManager([MemoryTier(1_000_000_000, max_entries=size, ttl=3600)])
        self.get, self.set, self.get_or_create = cache.get, cache.set, cache.get_or_load
        self.close = cache.close  # type: ignore[method-assign]
