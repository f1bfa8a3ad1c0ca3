"""Real Redis and PostgreSQL servers for tests and the demo.

Each comes from the first of four sources that works here: a URL in the environment, a container where a
Docker engine answers, a program on the PATH, a program inside an installed wheel. Several servers that belong
together, as with Sentinel and Cluster, do not come from containers: their members tell clients each other's
addresses, which inside containers are not ours.
"""

from greencache.testing.servers.base import Server
from greencache.testing.servers.errors import (
    NoServerAvailable,
    ServerControlError,
    ServerError,
    ServerStartError,
)
from greencache.testing.servers.postgres import PostgresServer
from greencache.testing.servers.redis import RedisServer
from greencache.testing.servers.redis_cluster import RedisClusterServers
from greencache.testing.servers.redis_migration import SlotMigration
from greencache.testing.servers.redis_node import ClusterNode, RedisNode, SentinelNode
from greencache.testing.servers.redis_releases import RELEASES, Release
from greencache.testing.servers.redis_sentinel import RedisSentinelServers
from greencache.testing.servers.runner import LOCAL, SOURCES

__all__ = [
    "LOCAL",
    "RELEASES",
    "SOURCES",
    "ClusterNode",
    "NoServerAvailable",
    "PostgresServer",
    "RedisClusterServers",
    "RedisNode",
    "RedisSentinelServers",
    "RedisServer",
    "Release",
    "SentinelNode",
    "Server",
    "ServerControlError",
    "ServerError",
    "ServerStartError",
    "SlotMigration",
]
