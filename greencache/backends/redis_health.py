"""What a Redis says about itself, typed."""

import dataclasses
from collections.abc import Mapping
from typing import TypeAlias

from greencache.backends.redis_node import RedisNode
from greencache.backends.redis_protocol import pack
from greencache.clock import Clock
from greencache.errors import GreencacheError
from greencache.typing import Seconds

__all__ = ["RedisHealth", "ask_health", "parse_info", "read_health"]

Info: TypeAlias = Mapping[str, str]


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
        hit_rate: Share of key lookups that found something since it started, all clients together.
        role: "master" or "slave".
        run_id: Another one after each restart.
        replication_id: Another one after each failover.
        uptime: Seconds since it started.
        is_persisting: Whether its last save to disk, of each kind in use, succeeded.
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
    hit_rate: float | None = None
    role: str | None = None
    run_id: str | None = None
    replication_id: str | None = None
    uptime: Seconds | None = None
    is_persisting: bool | None = None
    is_whole: bool = True


def ask_health(node: RedisNode, clock: Clock, deadline: Seconds) -> RedisHealth:
    """Ask a server how it is, and return that it is down if it does not say.

    Args:
        node: The server; its breaker is neither asked nor told.
        clock: Measures the latency.
        deadline: Seconds for it all.
    """
    end = clock.now() + deadline
    try:
        # Once for the connection to be there, then once for the time that one round trip takes.
        node.attempt_once(pack(["PING"]), 1, end - clock.now())
        start = clock.now()
        node.attempt_once(pack(["PING"]), 1, end - start)
        latency = clock.now() - start
        (info,) = node.attempt_once(pack(["INFO"]), 1, end - clock.now())
    except GreencacheError as error:
        return RedisHealth(up=False, error=str(error))
    if isinstance(info, GreencacheError):
        return RedisHealth(up=True, latency_ms=latency * 1_000, error=str(info))
    return read_health(parse_info(info), latency)


def parse_info(reply: bytes) -> Info:
    """Return the fields of a reply to INFO."""
    lines = (line.partition(":") for line in reply.decode(errors="replace").splitlines() if line[:1] != "#")
    return {name: value for name, colon, value in lines if colon}


def read_health(info: Info, latency: Seconds) -> RedisHealth:
    """Return the health of a server that answered.

    Args:
        info: Its fields.
        latency: Seconds for one round trip.
    """
    uptime = _number(info, "uptime_in_seconds")
    return RedisHealth(
        up=True,
        latency_ms=latency * 1_000,
        server="valkey" if "valkey_version" in info else "redis",
        version=info.get("valkey_version") or info.get("redis_version"),
        used_memory=_number(info, "used_memory"),
        max_memory=_number(info, "maxmemory"),
        maxmemory_policy=info.get("maxmemory_policy"),
        connected_clients=_number(info, "connected_clients"),
        evicted_keys=_number(info, "evicted_keys"),
        hit_rate=_hit_rate(info),
        role=info.get("role"),
        run_id=info.get("run_id"),
        replication_id=info.get("master_replid"),
        uptime=None if uptime is None else float(uptime),
        is_persisting=_is_persisting(info),
    )


def _number(info: Info, name: str) -> int | None:
    value = info.get(name, "")
    return int(value) if value.isascii() and value.isdigit() else None


def _hit_rate(info: Info) -> float | None:
    hits, misses = _number(info, "keyspace_hits"), _number(info, "keyspace_misses")
    if hits is None or misses is None or hits + misses == 0:
        return None
    return hits / (hits + misses)


def _is_persisting(info: Info) -> bool | None:
    states = [info[name] for name in ("rdb_last_bgsave_status", "aof_last_write_status") if name in info]
    return all(state == "ok" for state in states) if states else None
