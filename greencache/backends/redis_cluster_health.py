"""The health of several servers as that of one."""

from collections.abc import Iterable, Sequence

from greencache.backends.redis_health import RedisHealth, ask_health
from greencache.backends.redis_node import RedisNode
from greencache.clock import Clock
from greencache.typing import Seconds

__all__ = ["ask_cluster"]


def ask_cluster(nodes: Sequence[RedisNode], clock: Clock, budget: Seconds) -> RedisHealth:
    """Return how nodes are together: up while any answers, and whole only if all do.

    Args:
        nodes: The primaries.
        clock: Measures latencies.
        budget: Seconds for all of them.
    """
    end = clock.now() + budget
    healths = []
    for number, node in enumerate(nodes):
        # One that hangs leaves the others their share.
        share = max(0.001, (end - clock.now()) / (len(nodes) - number))
        healths.append(ask_health(node, clock, share))
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
        hit_rate=_mean([health.hit_rate for health in up if health.hit_rate is not None]),
        role=up[0].role,
        uptime=min((health.uptime for health in up if health.uptime is not None), default=None),
        is_persisting=all(health.is_persisting is not False for health in up),
    )


def _sum(numbers: Iterable[int | None]) -> int:
    return sum(number or 0 for number in numbers)


def _mean(rates: Sequence[float]) -> float | None:
    return sum(rates) / len(rates) if rates else None
