"""Real Redis and PostgreSQL servers for tests and the demo.

Each comes from the first of four sources that works here: a URL in the environment, a container where a
Docker engine answers, a program on the PATH, a program inside an installed wheel.
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
from greencache.testing.servers.runner import LOCAL, SOURCES

__all__ = [
    "LOCAL",
    "SOURCES",
    "NoServerAvailable",
    "PostgresServer",
    "RedisServer",
    "Server",
    "ServerControlError",
    "ServerError",
    "ServerStartError",
]
