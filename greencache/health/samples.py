"""What one check in the background has found, small enough to be kept for an hour."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from greencache.backends.redis_report import RedisHealth
from greencache.tiers.base import Status, TierHealth
from greencache.typing import Seconds

__all__ = ["HealthSample", "hit_rate_since", "read_line", "sample_of", "to_line"]

_LONGEST_ERROR = 200


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HealthSample:
    """How a tier was at one moment; what its server did not tell is `None`.

    Args:
        at: Seconds since 1970-01-01 UTC.
        status: Whether it answered; degraded also if that took longer than `max_latency`.
        latency_ms: Milliseconds for one round trip.
        hit_rate: Part of all lookups at the server, by any client, that found something since the check
            before; `None` if there was none.
        evicted_keys: How many keys the server evicted since the check before.
        used_memory: Bytes in use.
        max_memory: Bytes that it may use; 0 for no limit.
        connected_clients: How many there were.
        role: "master" or "slave".
        replication_lag: Seconds since the worst replica was heard.
        is_persisting: Whether its last save to disk, of each kind in use, had succeeded.
        error: Why it was not up; empty when it was.
    """

    at: Seconds
    status: Status
    latency_ms: float | None = None
    hit_rate: float | None = None
    evicted_keys: int | None = None
    used_memory: int | None = None
    max_memory: int | None = None
    connected_clients: int | None = None
    role: str | None = None
    replication_lag: Seconds | None = None
    is_persisting: bool | None = None
    error: str = ""


_FIELDS = tuple(field.name for field in dataclasses.fields(HealthSample))


def sample_of(health: TierHealth, before: RedisHealth | None, at: Seconds) -> HealthSample:
    """Return what is kept of a check.

    Args:
        health: What it found.
        before: What the one before found of the server.
        at: When it was, in seconds since 1970.
    """
    server = health.server or RedisHealth(up=False)
    return HealthSample(
        at=round(at, 3),
        status=health.status,
        latency_ms=None if health.latency_ms is None else round(health.latency_ms, 3),
        hit_rate=hit_rate_since(before, server),
        evicted_keys=_growth(before, server, "evicted_keys"),
        used_memory=server.used_memory,
        max_memory=server.max_memory,
        connected_clients=server.connected_clients,
        role=server.role,
        replication_lag=server.replication_lag,
        is_persisting=server.is_persisting,
        error=health.error[:_LONGEST_ERROR],
    )


def hit_rate_since(before: RedisHealth | None, now: RedisHealth) -> float | None:
    """Return the part of the lookups between two checks that found something; `None` if there was none.

    Args:
        before: The earlier check; `None` to count from the server's start.
        now: The later one.
    """
    hits, misses = _growth(before, now, "keyspace_hits"), _growth(before, now, "keyspace_misses")
    if hits is None or misses is None or hits + misses == 0:
        return None
    return hits / (hits + misses)


def _growth(before: RedisHealth | None, now: RedisHealth, name: str) -> int | None:
    later: int | None = getattr(now, name)
    earlier: int | None = getattr(before, name) if before is not None else None
    if later is None or earlier is None:
        return later
    # A server that has restarted, and another one that took its place, count from nothing.
    return later - earlier if later >= earlier and _is_same(before, now) else later


def _is_same(before: RedisHealth | None, now: RedisHealth) -> bool:
    return before is not None and before.run_id == now.run_id


def to_line(sample: HealthSample) -> str:
    """Return a sample as one line, without names: many are kept in a server that has other work."""
    values: Sequence[Any] = [getattr(sample, name) for name in _FIELDS]
    return json.dumps(values, separators=(",", ":"))


def read_line(line: str) -> HealthSample | None:
    """Return the sample that another process has written; `None` if it is of another version, or spoilt."""
    try:
        at, status, *values = json.loads(line)
        known = dict(zip(_FIELDS[2:], values, strict=False))
        return HealthSample(at=float(at), status=Status(status), **known)
    except (ValueError, TypeError):
        return None
