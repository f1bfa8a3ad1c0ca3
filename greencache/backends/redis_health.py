"""What a Redis says about itself, typed."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from greencache.backends.redis_node import RedisNode
from greencache.backends.redis_protocol import pack
from greencache.backends.redis_report import RedisHealth, ReplicaHealth
from greencache.clock import Clock
from greencache.errors import GreencacheError
from greencache.typing import Seconds

__all__ = ["RedisHealth", "ask_health", "parse_info", "read_health"]

Info: TypeAlias = Mapping[str, str]

_PROMPT: Seconds = 0.05
"""An answer that took longer is asked for again: it may be this process that was slow."""
_ATTEMPTS = 3


def ask_health(node: RedisNode, clock: Clock, deadline: Seconds) -> RedisHealth:
    """Ask a server how it is, and return that it is down if it does not say.

    Args:
        node: The server; its breaker is neither asked nor told.
        clock: Measures the latency.
        deadline: Seconds for it all.
    """
    end = clock.now() + deadline
    try:
        # Once for the connection to be there, then for the time that one round trip takes.
        node.attempt_once(pack(["PING"]), 1, end - clock.now())
        latency = min(_latencies(node, clock, end))
        (info,) = node.attempt_once(pack(["INFO"]), 1, end - clock.now())
    except GreencacheError as error:
        return RedisHealth(up=False, error=str(error))
    if isinstance(info, GreencacheError):
        return RedisHealth(up=True, latency_ms=latency * 1_000, error=str(info))
    return read_health(parse_info(info), latency)


def _latencies(node: RedisNode, clock: Clock, end: Seconds) -> Iterator[Seconds]:
    for _ in range(_ATTEMPTS):
        start = clock.now()
        node.attempt_once(pack(["PING"]), 1, end - start)
        yield (latency := clock.now() - start)
        if latency <= _PROMPT:
            break


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
    replicas = tuple(_replicas(info))
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
        keyspace_hits=_number(info, "keyspace_hits"),
        keyspace_misses=_number(info, "keyspace_misses"),
        hit_rate=_hit_rate(info),
        role=info.get("role"),
        run_id=info.get("run_id"),
        replication_id=info.get("master_replid"),
        uptime=None if uptime is None else float(uptime),
        is_persisting=_is_persisting(info),
        rdb_status=info.get("rdb_last_bgsave_status"),
        aof_status=info.get("aof_last_write_status") if info.get("aof_enabled") == "1" else None,
        replicas=replicas,
        replication_lag=_replication_lag(info, replicas),
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


def _replicas(info: Info) -> Iterator[ReplicaHealth]:
    """Yield what a primary says of each of its replicas: slave0:ip=10.0.0.1,port=6379,…, and so on."""
    written = _number(info, "master_repl_offset") or 0
    for name, line in info.items():
        if not re.fullmatch("slave[0-9]+", name, re.ASCII):
            continue
        facts = dict(pair.partition("=")[::2] for pair in line.split(","))
        yield ReplicaHealth(
            server=f"{facts.get('ip', '')}:{facts.get('port', '')}",
            state=facts.get("state", ""),
            lag=float(_number(facts, "lag") or 0),
            missing=max(0, written - (_number(facts, "offset") or 0)),
        )


def _replication_lag(info: Info, replicas: Sequence[ReplicaHealth]) -> Seconds | None:
    if info.get("role") == "slave":
        seconds = _number(info, "master_last_io_seconds_ago")  # -1 while there is no link
        return None if seconds is None else float(seconds)
    return max((replica.lag for replica in replicas), default=None)
