"""How the Redis servers of a tier are set up; the names are those of `redis.conf`, with underscores."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from greencache.config.secret_files import json_list, json_mapping
from greencache.config.settings import AnyCount, Count, Settings
from greencache.config.units import Duration, Size, parse_duration
from greencache.config.urls import RedisTopology

__all__ = ["ClusterConfig", "ContainerConfig", "RedisServerConfig", "SentinelConfig"]

MaxmemoryPolicy = Literal[
    "noeviction",
    "allkeys-lru",
    "allkeys-lfu",
    "allkeys-lrm",
    "allkeys-random",
    "volatile-lru",
    "volatile-lfu",
    "volatile-lrm",
    "volatile-random",
    "volatile-ttl",
]
_SECRETS: Final = (
    "requirepass",
    "masterauth",
    "masteruser",
    "primaryauth",
    "primaryuser",
    "tls-key-file-pass",
)
_RENDERED: Final = (
    "include",
    "port",
    "dir",
    "user",
    "aclfile",
    "sentinel",
    "cluster-enabled",
    "replicaof",
    "tls-port",
    "tls-cert-file",
    "tls-key-file",
    "tls-ca-cert-file",
)
_SECRET_NAME: Final = r"^[a-z0-9]([a-z0-9-]{0,60}[a-z0-9])?$"  # noqa: S105 -- a pattern


def _save_rule(text: str) -> str:
    """Return a rule as CONFIG GET tells it: "900 1"."""
    seconds, _, changes = text.strip().partition(" ")
    if not re.fullmatch(r"\s*[0-9]{1,9}\s*", changes, re.ASCII):
        raise ValueError("expected a time and a number of changes for each rule, such as 900 1 or 15m 1")
    return f"{max(1, round(parse_duration(seconds)))} {int(changes)}"


def _spelled_no(value: Any) -> Any:
    return "no" if value is False else value  # how YAML reads an unquoted no


def _checked_directives(directives: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in directives.items():
        if not re.fullmatch(r"[a-z][a-z0-9-]*", name):
            raise ValueError(
                "expected the names of directives as in redis.conf, such as hz or lfu-decay-time"
            )
        if name in _SECRETS:
            raise ValueError(f"{name} is no setting of its own: give the tier's password, or password_file")
        if name in _RENDERED:
            raise ValueError(f"{name} is written by what renders the files; take it out")
        if not value.isprintable():
            raise ValueError(f"expected {name} on one line")
    return directives


def _as_text(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    spelled = {True: "yes", False: "no"}
    return {
        name: spelled[each] if isinstance(each, bool) else str(each) if isinstance(each, int) else each
        for name, each in value.items()
    }


class SentinelConfig(Settings):
    """The sentinels, and the replicas that they choose a new primary from."""

    replicas: Count = 2
    sentinels: Annotated[int, Field(ge=3)] = 3
    quorum: Count | None = None
    down_after: Duration = 5.0
    failover_timeout: Duration = 60.0
    parallel_syncs: Count = 1

    @property
    def needed(self) -> int:
        """How many sentinels must agree that the primary is down: most of them, unless said otherwise."""
        return self.quorum or self.sentinels // 2 + 1


class ClusterConfig(Settings):
    """The nodes of a Cluster."""

    primaries: Annotated[int, Field(ge=3)] = 3
    replicas: AnyCount = 1
    node_timeout: Duration = 5.0
    require_full_coverage: bool = False

    @property
    def nodes(self) -> int:
        """How many nodes there are in all."""
        return self.primaries * (1 + self.replicas)


class ContainerConfig(Settings):
    """What a server gets where it runs as a container."""

    image: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w./:@-]*$")] = "redis:8"
    memory_headroom: Annotated[float, Field(ge=0.1, le=10)] = 0.5
    cpu: Annotated[float, Field(gt=0, le=1_000)] = 1.0
    storage: Size | None = None
    storage_class: str | None = None
    secret: Annotated[str, Field(pattern=_SECRET_NAME)] = "greencache-redis"  # noqa: S105 -- its name
    tls_secret: Annotated[str, Field(pattern=_SECRET_NAME)] = "greencache-redis-tls"  # noqa: S105 -- its name


class RedisServerConfig(Settings):
    """How the Redis servers of a tier are set up; by default for a cache that survives a restart."""

    compare: bool = True
    maxmemory: Size = 2_147_483_648
    maxmemory_policy: MaxmemoryPolicy = "allkeys-lru"
    save: Annotated[tuple[Annotated[str, AfterValidator(_save_rule)], ...], BeforeValidator(json_list)] = (
        "900 1",
        "300 10",
        "60 10000",
    )
    appendonly: bool = True
    appendfsync: Annotated[Literal["always", "everysec", "no"], BeforeValidator(_spelled_no)] = "everysec"
    auto_aof_rewrite_percentage: AnyCount = 100
    auto_aof_rewrite_min_size: Size = 67_108_864
    min_replicas_to_write: AnyCount | None = None
    min_replicas_max_lag: Duration = 10.0
    maxclients: Count = 10_000
    repl_backlog_size: Size = 67_108_864
    lazyfree: bool = True
    directives: Annotated[
        dict[str, str],
        BeforeValidator(_as_text),
        BeforeValidator(json_mapping),
        AfterValidator(_checked_directives),
    ] = Field(default_factory=dict)
    sentinel: SentinelConfig = SentinelConfig()
    cluster: ClusterConfig = ClusterConfig()
    container: ContainerConfig = ContainerConfig()

    def as_directives(self, topology: RedisTopology) -> dict[str, str]:
        """Return the directives of `redis.conf` that can be looked up in a running server, as it tells them.

        Args:
            topology: How the servers belong together.
        """
        lazily = _flag(self.lazyfree)
        found = {
            # In this order: a full server must know what to evict before its limit shrinks.
            "maxmemory-policy": self.maxmemory_policy,
            "maxmemory": str(self.maxmemory),
            "save": " ".join(self.save),
            "appendonly": _flag(self.appendonly),
            "appendfsync": self.appendfsync,
            "auto-aof-rewrite-percentage": str(self.auto_aof_rewrite_percentage),
            "auto-aof-rewrite-min-size": str(self.auto_aof_rewrite_min_size),
            "min-replicas-to-write": str(self._needed_replicas(topology)),
            "min-replicas-max-lag": str(max(1, round(self.min_replicas_max_lag))),
            "maxclients": str(self.maxclients),
            "repl-backlog-size": str(self.repl_backlog_size),
            "lazyfree-lazy-eviction": lazily,
            "lazyfree-lazy-expire": lazily,
            "lazyfree-lazy-server-del": lazily,
        }
        if topology is RedisTopology.CLUSTER:
            found["cluster-node-timeout"] = str(round(1_000 * self.cluster.node_timeout))
            found["cluster-require-full-coverage"] = _flag(self.cluster.require_full_coverage)
        return {**found, **self.directives}

    def replicas(self, topology: RedisTopology) -> int:
        """Return how many replicas each primary has."""
        counts = {
            RedisTopology.STANDALONE: 0,
            RedisTopology.SENTINEL: self.sentinel.replicas,
            RedisTopology.CLUSTER: self.cluster.replicas,
        }
        return counts[topology]

    def _needed_replicas(self, topology: RedisTopology) -> int:
        if self.min_replicas_to_write is not None:
            return self.min_replicas_to_write
        # A primary that is cut off from all of several replicas stops to acknowledge what a failover will
        # undo. With a single replica, its failure would stop the primary too.
        return 1 if self.replicas(topology) > 1 else 0


def _flag(value: bool) -> str:
    return "yes" if value else "no"
