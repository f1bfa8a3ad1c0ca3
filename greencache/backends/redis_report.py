"""What is known of Redis servers after they were asked: plain data, which needs no client."""

import dataclasses
import enum

from greencache.typing import Seconds

__all__ = ["AppliedSetting", "Drift", "RedisHealth", "ReplicaHealth", "SettingOutcome"]


@dataclasses.dataclass(frozen=True, slots=True)
class Drift:
    """A setting that a running server has otherwise than configured.

    Args:
        server: Which server, as "host:port".
        setting: Its name in `redis.conf`.
        expected: What is configured.
        found: What the server has; `None` if it knows no such setting.
    """

    server: str
    setting: str
    expected: str
    found: str | None

    def __str__(self) -> str:
        found = "knows no such setting" if self.found is None else f"has {self.found!r}"
        return f"{self.server} {found}: {self.setting} is to be {self.expected!r}"


class SettingOutcome(enum.StrEnum):
    """What became of the attempt to change a setting."""

    SET = "set"
    NEEDS_RESTART = "needs a restart"
    UNKNOWN = "unknown to the server"
    REFUSED = "refused"


@dataclasses.dataclass(frozen=True, slots=True)
class AppliedSetting:
    """What became of the attempt to change a setting of a running server.

    Args:
        drift: Which setting, what it was, and what it was to be.
        outcome: Whether it is set now, and if not, what it takes.
        reason: What the server said, if it refused.
    """

    drift: Drift
    outcome: SettingOutcome
    reason: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class ReplicaHealth:
    """A replica as its primary sees it.

    Args:
        server: Which one, as "host:port".
        state: "online" when it follows.
        lag: Seconds since it was last heard.
        missing: Bytes that it does not have yet.
    """

    server: str
    state: str
    lag: Seconds
    missing: int


@dataclasses.dataclass(frozen=True, slots=True)
class RedisHealth:
    """The state of a server at one moment; what it did not tell is `None`.

    Args:
        up: Whether it answered.
        latency_ms: Milliseconds for one round trip.
        error: Why it is down, or what it did not want to tell.
        server: "redis" or "valkey".
        version: Of the server.
        used_memory: Bytes in use.
        max_memory: Bytes that it may use; 0 for no limit.
        maxmemory_policy: What it evicts when memory is full.
        connected_clients: How many there are.
        evicted_keys: How many it evicted since it started.
        keyspace_hits: Lookups of keys that found something since it started, all clients together.
        keyspace_misses: Those that found nothing.
        hit_rate: The share of the former in both.
        role: "master" or "slave".
        run_id: Another one after each restart.
        replication_id: Another one after each failover.
        uptime: Seconds since it started.
        is_persisting: Whether its last save to disk, of each kind in use, succeeded.
        rdb_status: "ok", if the last snapshot succeeded.
        aof_status: "ok", if the append-only file could last be written; `None` if it writes none.
        replicas: The replicas that follow it.
        replication_lag: Seconds since the worst of them was heard; of a replica, since its primary was.
        drift: Where it, and its replicas, differ from the settings that were given.
        settings_error: Why that could not be compared; empty if it was, or is not wanted.
        is_whole: Whether all primaries answered, where there are several: memory, clients and evictions are
            then those of all, the latency is the longest.
    """

    up: bool
    latency_ms: float | None = None
    error: str | None = None
    server: str | None = None
    version: str | None = None
    used_memory: int | None = None
    max_memory: int | None = None
    maxmemory_policy: str | None = None
    connected_clients: int | None = None
    evicted_keys: int | None = None
    keyspace_hits: int | None = None
    keyspace_misses: int | None = None
    hit_rate: float | None = None
    role: str | None = None
    run_id: str | None = None
    replication_id: str | None = None
    uptime: Seconds | None = None
    is_persisting: bool | None = None
    rdb_status: str | None = None
    aof_status: str | None = None
    replicas: tuple[ReplicaHealth, ...] = ()
    replication_lag: Seconds | None = None
    drift: tuple[Drift, ...] = ()
    settings_error: str = ""
    is_whole: bool = True
