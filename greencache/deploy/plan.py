"""What is to be set up: the servers of one tier."""

import dataclasses
import re

from greencache.config import CacheConfig, RedisConfig, RedisServerConfig, RedisTopology
from greencache.errors import ConfigurationError
from greencache.typing import CacheTier

__all__ = ["PORT", "SENTINEL_PORT", "TLS_FOLDER", "Plan"]

PORT = 6379
SENTINEL_PORT = 26379
TLS_FOLDER = "/etc/greencache-tls"
"""Where servers find `tls.crt`, `tls.key` and `ca.crt`, unless start.sh is told another folder."""
_HEADROOM = 64 << 20
"""Bytes that a server takes whatever it stores."""


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """The servers of one tier.

    Args:
        name: What they are called, and their services, in Compose and Kubernetes.
        topology: How they belong together.
        server: How each is set up.
        username: ACL user that the cache logs in as; `None` for the default user.
        service: Under which name sentinels know the primary.
        size: Bytes that the cache is meant to take in all.
        has_tls: Whether servers speak TLS, to clients and to each other, and nothing else.
        asks_for_certificates: Whether who connects by TLS must show a certificate.
    """

    name: str
    topology: RedisTopology
    server: RedisServerConfig
    username: str | None
    service: str
    size: int
    has_tls: bool = False
    asks_for_certificates: bool = False

    @classmethod
    def of(cls, config: CacheConfig, tier: CacheTier, topology: RedisTopology | None = None) -> "Plan":
        """Return what a configuration says of a tier.

        Args:
            config: The whole configuration.
            tier: L2 or L3.
            topology: Instead of the one that its address implies.

        Raises:
            ConfigurationError: If the tier is on no Redis.
        """
        if tier not in (CacheTier.L2, CacheTier.L3):
            raise ConfigurationError(f"expected l2 or l3, which are on a Redis, got {tier.name.lower()}")
        section: RedisConfig = config.l2 if tier is CacheTier.L2 else config.l3
        url = "" if section.url is None else section.url.get_secret_value()
        service = re.search(r"\+sentinel://[^/]*/([^/?]+)", url)
        return cls(
            name=f"{config.namespace.lower()}-{tier.name.lower()}".replace("_", "-").replace(".", "-"),
            topology=topology or section.topology,
            server=section.server,
            username=section.username,
            service=service[1] if service else "mymaster",
            size=section.size,
            has_tls=url.startswith("rediss"),
            asks_for_certificates="ssl_certfile=" in url,
        )

    @property
    def count(self) -> int:
        """How many servers keep data."""
        if self.topology is RedisTopology.CLUSTER:
            return self.server.cluster.nodes
        return 1 + self.server.replicas(self.topology)

    @property
    def scheme(self) -> str:
        """How an address of one of the servers begins."""
        return "rediss" if self.has_tls else "redis"

    @property
    def memory(self) -> int:
        """Bytes of memory for one server: what it stores and what it needs beside that."""
        return round(self.server.maxmemory * (1 + self.server.container.memory_headroom)) + _HEADROOM

    @property
    def storage(self) -> int:
        """Bytes of disk for one server: while it rewrites its files, it has the old ones too."""
        return self.server.container.storage or 4 * self.server.maxmemory

    def warnings(self) -> list[str]:
        """Return what does not fit together, a sentence each."""
        primaries = self.server.cluster.primaries if self.topology is RedisTopology.CLUSTER else 1
        room = primaries * self.server.maxmemory
        if self.size <= room:
            return []
        warning = (
            f"the cache is meant to take {self.size / 1e9:g} GB, but {primaries} times server.maxmemory is "
            f"{room / 1e9:.3g} GB: set server.maxmemory, or size, or more primaries"
        )
        return [warning]
