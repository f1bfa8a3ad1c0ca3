"""What a health check of a PostgreSQL server finds."""

import dataclasses
import time
from collections.abc import Iterator, Mapping
from typing import Any

from greencache.backends.postgres_session import PostgresSession
from greencache.typing import Seconds

__all__ = ["PostgresHealth", "ask_health", "pool_figures"]

_PROMPT: Seconds = 0.05
"""An answer that took longer is asked for again: it may be this process that was slow."""
_ATTEMPTS = 3
_HEALTH = b"""
select current_setting('server_version'), pg_database_size(current_database()), pg_is_in_recovery()
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PostgresHealth:
    """What a health check found.

    Args:
        up: Whether the server answers.
        latency_ms: Milliseconds that the answer took.
        error: Why it is not up; empty when it is.
        version: The server's version.
        database_size: Bytes that the database takes.
        is_standby: Whether it only reads.
        pool_size: Connections open.
        pool_in_use: Of these, connections that somebody uses.
        pool_waiting: Calls that wait for a connection.
    """

    up: bool
    latency_ms: float | None = None
    error: str = ""
    version: str = ""
    database_size: int = 0
    is_standby: bool = False
    pool_size: int = 0
    pool_in_use: int = 0
    pool_waiting: int = 0

    def detail(self) -> dict[str, object]:
        """Return what the server says of itself, and the pool's figures, by name."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if field.name not in ("up", "latency_ms", "error")
        }


def ask_health(session: PostgresSession) -> PostgresHealth:
    """Return what the server says of itself.

    Raises:
        TierUnavailableError: It did not answer in time.
    """
    [(version, size, is_standby)] = session.fetch(_HEALTH)
    latency = 1_000 * min(_latencies(session))
    return PostgresHealth(
        up=True, latency_ms=latency, version=version, database_size=size, is_standby=is_standby
    )


def pool_figures(measures: Mapping[str, int]) -> dict[str, Any]:
    """Return the figures of a pool, under the names that the health check gives them.

    Args:
        measures: As psycopg_pool names them; empty before the first use.
    """
    size = measures.get("pool_size", 0)
    return {
        "pool_size": size,
        "pool_in_use": size - measures.get("pool_available", 0),
        "pool_waiting": measures.get("requests_waiting", 0),
    }


def _latencies(session: PostgresSession) -> Iterator[Seconds]:
    """Yield how long round trips take, until one is fast."""
    for _ in range(_ATTEMPTS):
        started = time.perf_counter()
        session.fetch(b"select")
        yield (latency := time.perf_counter() - started)
        if latency <= _PROMPT:
            break
