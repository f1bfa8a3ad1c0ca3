"""The health of several servers as that of one."""

from collections.abc import Iterable, Sequence

from greencache.backends.redis_drift import SettingsCheck
from greencache.backends.redis_health import ask_health
from greencache.backends.redis_node import RedisNode
from greencache.backends.redis_report import RedisHealth
from greencache.clock import Clock
from greencache.typing import Seconds

__all__ = ["ask_cluster"]


def ask_cluster(
    nodes: Sequence[RedisNode], clock: Clock, budget: Seconds, settings_check: SettingsCheck | None
) -> RedisHealth:
    """Return how nodes are together: up while any answers, and whole only if all do.

    Args:
        nodes: The primaries.
        clock: Measures latencies.
        budget: Seconds for all of them.
        settings_check: Tells where they differ from their settings; `None` if nobody wants to know.
    """
    end = clock.now() + budget
    healths = []
    for number, node in enumerate(nodes):
        # One that hangs leaves the others their share.
        share = max(0.001, (end - clock.now()) / (len(nodes) - number))
        limit = clock.now() + share
        health = ask_health(node, clock, share)
        if settings_check is not None:
            health = settings_check.complete(health, node.address, limit)
        healths.append(health)
    up = [health for health in healths if health.up]
    errors = [health.error for health in healths if health.error]
    if not up:
        return RedisHealth(up=False, error="; ".join(errors), is_whole=False)
    return RedisHealth(
        up=True,
        is_whole=len(up) == len(healths),
        latency_ms=max(health.latency_ms or 0.0 for health in up),
        error="; ".join(errors) or None,
        server=up[0].server,
        version=up[0].version,
        used_memory=_sum(health.used_memory for health in up),
        max_memory=_sum(health.max_memory for health in up),
        maxmemory_policy=up[0].maxmemory_policy,
        connected_clients=_sum(health.connected_clients for health in up),
        evicted_keys=_sum(health.evicted_keys for health in up),
        keyspace_hits=(hits := _sum(health.keyspace_hits for health in up)),
        keyspace_misses=(misses := _sum(health.keyspace_misses for health in up)),
        hit_rate=hits / (hits + misses) if hits + misses else None,
        role=up[0].role,
        uptime=min((health.uptime for health in up if health.uptime is not None), default=None),
        is_persisting=all(health.is_persisting is not False for health in up),
        rdb_status=_worst(health.rdb_status for health in up),
        aof_status=_worst(health.aof_status for health in up),
        replicas=tuple(replica for health in up for replica in health.replicas),
        replication_lag=max((h.replication_lag for h in up if h.replication_lag is not None), default=None),
        drift=tuple(drift for health in up for drift in health.drift),
        settings_error="; ".join(health.settings_error for health in up if health.settings_error),
    )


def _sum(numbers: Iterable[int | None]) -> int:
    return sum(number or 0 for number in numbers)


def _worst(statuses: Iterable[str | None]) -> str | None:
    known = [status for status in statuses if status is not None]
    return next((status for status in known if status != "ok"), known[0] if known else None)
