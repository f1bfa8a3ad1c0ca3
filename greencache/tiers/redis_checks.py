"""How a Redis is doing, in the words of tiers."""

import dataclasses

from greencache.backends.redis import RedisManager
from greencache.backends.redis_report import RedisHealth
from greencache.tiers.base import Status, TierHealth

__all__ = ["RedisChecks"]


class RedisChecks:
    """Asks a server how it is doing.

    Args:
        manager: Talks to it.
    """

    def __init__(self, manager: RedisManager) -> None:
        self._manager = manager

    def check(self) -> TierHealth:
        """Ask the server how it is doing, and where it differs from its settings."""
        return _health_of(self._manager.check())

    def probe(self) -> TierHealth:
        """Ask the server how it is doing."""
        return _health_of(self._manager.check(compare=False))


def _health_of(health: RedisHealth) -> TierHealth:
    facts = dataclasses.asdict(health)
    return TierHealth(
        status=(Status.UP if health.is_whole else Status.DEGRADED) if health.up else Status.DOWN,
        latency_ms=health.latency_ms,
        error=health.error or "",
        server=health,
        detail={name: facts[name] for name in facts if name not in ("up", "latency_ms", "error")},
    )
