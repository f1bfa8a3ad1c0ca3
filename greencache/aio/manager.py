"""CacheManager for an event loop."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from greencache.aio.reads import AsyncReads
from greencache.aio.writes import AsyncWrites
from greencache.health import FleetHistory, HealthReport, HealthSample
from greencache.manager import L1
from greencache.manager import CacheManager as BlockingManager
from greencache.stats import CacheStats
from greencache.tiers.base import Tier, TierUsage
from greencache.typing import CacheTier, Key

if TYPE_CHECKING:
    from greencache.config import CacheConfig
    from greencache.inspection import Explanation

__all__ = ["CacheManager"]


class CacheManager(AsyncReads, AsyncWrites):
    """A cache whose verbs are awaited; core and promises are those of `greencache.CacheManager`.

    A hit in L1 is answered without leaving the event loop; whatever talks to a server does so on threads.
    Loaders and writers may be coroutine functions, or plain ones, which run on threads; if what a plain one
    returns can be awaited, as with `lambda: fetch(url)`, it is. Loads are shared with the tasks of other
    loops, and with the threads that use `blocking`. Who is cancelled stops waiting; the load goes on for the
    others, and a write goes on to its end.

    Args:
        tiers: As of `greencache.CacheManager`.
        options: As of `greencache.CacheManager`.

    Raises:
        ConfigurationError: If the parts do not fit together.
    """

    def __init__(self, tiers: Sequence[Tier] | None = None, **options: Any) -> None:
        super().__init__(BlockingManager(tiers, **options))

    @classmethod
    def over(cls, blocking: BlockingManager) -> Self:
        """Return a facade over a cache that threads use too; closing either closes both."""
        manager = cls.__new__(cls)
        AsyncReads.__init__(manager, blocking)
        return manager

    @classmethod
    def from_urls(cls, **options: Any) -> Self:
        """Return the cache that `greencache.CacheManager.from_urls` returns, for an event loop."""
        return cls.over(BlockingManager.from_urls(**options))

    @classmethod
    def from_config(
        cls, path: "CacheConfig | str | os.PathLike[str]", *, profile: str | None = None, **options: Any
    ) -> Self:
        """Return the cache that `greencache.CacheManager.from_config` returns, for an event loop."""
        return cls.over(BlockingManager.from_config(path, profile=profile, **options))

    async def initialize(self, *, strict: bool = False) -> Self:
        """Connect to all servers, install what they need, and listen to the bus; then return the cache."""
        await self._done(self.blocking.initialize, strict=strict)
        return self

    async def refresh_view(self, name: str) -> bool:
        """Refresh a materialized view that L4 reads, while others go on reading it."""
        return await self._done(self.blocking.refresh_view, name)

    @property
    def l1(self) -> L1:
        """This process's memory, for those who look after it; nothing of it is awaited.

        Raises:
            ConfigurationError: If this cache has no L1.
        """
        return self.blocking.l1

    async def get_stats(self) -> CacheStats:
        """Return the counts of this process so far."""
        return self.blocking.get_stats()

    async def get_usage(self) -> Mapping[CacheTier, TierUsage]:
        """Return how much each tier holds."""
        return await self._done(self.blocking.get_usage)

    async def health_check(self) -> HealthReport:
        """Ask every tier how it is doing. Raises nothing: an outage is a finding."""
        return await self._done(self.blocking.health_check)

    async def health_history(self) -> Mapping[CacheTier, Sequence[HealthSample]]:
        """Return what checks in the background have found in the last hour, the oldest first."""
        return self.blocking.health_history()

    async def fleet_health_history(self) -> FleetHistory:
        """Return the same of all processes of this namespace that share a Redis, by "host:pid"."""
        return await self._done(self.blocking.fleet_health_history)

    async def explain(self, key: Key) -> "Explanation":
        """Return why a key is served as it is, or not."""
        return await self._done(self.blocking.explain, key)

    async def close(self) -> None:
        """Finish what is under way, stop listening, and give back connections; may be called twice.

        Loads and writes that take more than five seconds longer are cancelled.
        """
        try:
            await self._reader.close()
            await self._offload(self.blocking.close)
        finally:
            self._functions.offload.close()
            self._offload.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
