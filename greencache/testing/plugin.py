"""The pytest plugin: fixtures with real servers, started when a test first asks for one.

Every pytest run on a machine with greencache loads this module, before coverage starts: it imports next to
nothing.
"""

from __future__ import annotations

import importlib.metadata
import platform
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from greencache.testing.servers import (
        PostgresServer,
        RedisClusterServers,
        RedisSentinelServers,
        RedisServer,
    )

__all__ = [
    "postgres_server",
    "postgres_servers",
    "postgres_url",
    "pytest_addoption",
    "pytest_report_header",
    "redis_cluster",
    "redis_cluster_url",
    "redis_clusters",
    "redis_sentinel",
    "redis_sentinel_url",
    "redis_sentinels",
    "redis_server",
    "redis_servers",
    "redis_url",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that asks for the header: strangers' test runs stay as they were."""
    parser.addini(
        "greencache_header", "show servers and libraries in the report header", type="bool", default=False
    )


def pytest_report_header(config: pytest.Config) -> list[str] | None:
    """Show which servers the tests will use, and the versions of what talks to them."""
    if not config.getini("greencache_header"):
        return None
    from greencache.testing.servers import PostgresServer, RedisServer

    libraries = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("redis", "psycopg"))
    servers = ", ".join(server.describe_first_available() for server in (RedisServer(), PostgresServer()))
    return [
        f"greencache servers: {servers}",
        f"greencache clients: Python {platform.python_version()}, {libraries}",
    ]


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis server for the whole session; take `redis_url` to get it empty."""
    from greencache.testing.servers import RedisServer

    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer, request: pytest.FixtureRequest) -> str:
    """The URL of an empty Redis database, this test's own while it runs."""
    if redis_server.source == "environment":
        # One server for all workers of pytest-xdist: each has a numbered database.
        url = redis_server.database_url(_worker_number(request.config))
    else:
        url = redis_server.url
    redis_server.flush(url)
    return url


@pytest.fixture
def redis_servers() -> Iterator[Callable[..., RedisServer]]:
    """Start Redis servers for this test alone, with the options of `RedisServer`; killable by default."""
    from greencache.testing.servers import RedisServer

    yield from _servers(RedisServer)


@pytest.fixture(scope="session")
def redis_sentinel() -> Iterator[RedisSentinelServers]:
    """Redis with Sentinel for the whole session; take `redis_sentinel_url` to get it whole and empty."""
    from greencache.testing.servers import RedisSentinelServers

    with RedisSentinelServers() as servers:
        yield servers


@pytest.fixture
def redis_sentinel_url(redis_sentinel: RedisSentinelServers) -> str:
    """The URL of empty servers behind sentinels, all of them up whatever the last test did to them."""
    redis_sentinel.heal()
    redis_sentinel.flush()
    return redis_sentinel.url


@pytest.fixture
def redis_sentinels() -> Iterator[Callable[..., RedisSentinelServers]]:
    """Start such servers for this test alone, with the options of `RedisSentinelServers`."""
    from greencache.testing.servers import RedisSentinelServers

    yield from _servers(RedisSentinelServers)


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisClusterServers]:
    """A Redis Cluster for the whole session; take `redis_cluster_url` to get it whole and empty."""
    from greencache.testing.servers import RedisClusterServers

    with RedisClusterServers() as servers:
        yield servers


@pytest.fixture
def redis_cluster_url(redis_cluster: RedisClusterServers) -> str:
    """The URL of an empty cluster, all of it up whatever the last test did to it."""
    redis_cluster.heal()
    redis_cluster.flush()
    return redis_cluster.url


@pytest.fixture
def redis_clusters() -> Iterator[Callable[..., RedisClusterServers]]:
    """Start clusters for this test alone, with the options of `RedisClusterServers`."""
    from greencache.testing.servers import RedisClusterServers

    yield from _servers(RedisClusterServers)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for the whole session; take `postgres_url` to get a database of it."""
    from greencache.testing.servers import PostgresServer

    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty PostgreSQL database, made for this test and removed after it."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture
def postgres_servers() -> Iterator[Callable[..., PostgresServer]]:
    """Start PostgreSQL servers for this test alone, with options of `PostgresServer`; killable by default."""
    from greencache.testing.servers import PostgresServer

    yield from _servers(PostgresServer)


def _servers(kind: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    import contextlib

    from greencache.testing.servers import LOCAL

    with contextlib.ExitStack() as stack:

        def start(**options: Any) -> Any:
            return stack.enter_context(kind(**{"sources": LOCAL} | options))

        yield start


def _worker_number(config: pytest.Config) -> int:
    """Return n for pytest-xdist's worker "gwn", and 0 without workers."""
    worker = str(getattr(config, "workerinput", {}).get("workerid", ""))
    return int(re.sub(r"\D", "", worker) or 0)
