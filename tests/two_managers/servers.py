"""The processes over real Redis servers, with the real bus, in real time."""

import itertools

from greencache import CacheManager
from greencache.testing import wait_until

from .world import MAX_STALENESS, World

_NAMESPACES = itertools.count(1)


class RedisWorld(World):
    """Processes that share a Redis, the second and the third also one of their host.

    Args:
        host: The address of the Redis of the second process's host.
        shared: The address of the Redis of all.
    """

    def __init__(self, host: str, shared: str) -> None:
        super().__init__()
        self._host, self._shared = host, shared
        self._namespace = f"two{next(_NAMESPACES)}"

    def begin(self, *, shares_host: bool) -> CacheManager:
        """Return the cache of a new process, once it hears everything."""
        cache = CacheManager.from_urls(
            l2=self._host if shares_host else None,
            l3=self._shared,
            namespace=self._namespace,
            max_staleness=MAX_STALENESS,
        )
        return cache.initialize(strict=True)

    @property
    def now(self) -> float:
        """Seconds of the machine's clock."""
        return self.members[0].cache._engine.clock.now() if self.members else 0.0

    def settle(self) -> None:
        """Let everybody hear everything."""
        last = max(member.published for member in self.members)
        for member in self.members:
            wait_until(lambda one=member: one.heard >= last, reason="everything is heard")
