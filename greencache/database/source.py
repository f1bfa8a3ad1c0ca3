"""The database as loaders read it: what they return is stored only if it is not older than a drop."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any, TypeVar

from greencache.backends.postgres import Params, PostgresManager, Row
from greencache.backends.postgres_announcements import Announcements
from greencache.backends.postgres_changes import Changes
from greencache.backends.postgres_connection import BoundedConnection
from greencache.backends.postgres_foreign import row_of
from greencache.backends.postgres_pool import PoolKeeper
from greencache.backends.postgres_position import POSITION, Position
from greencache.database.witness import ChangeWitness
from greencache.errors import ConfigurationError
from greencache.forks import after_fork_in_child
from greencache.loading import note_position
from greencache.options import check_duration
from greencache.typing import Seconds

__all__ = ["PostgresSource"]

C = TypeVar("C")


class PostgresSource:
    """Connections to the database for loaders, and the promise that goes with them.

    A loader that reads through one of these methods has its value marked with the snapshot it was read at. It
    is served, but stored in no tier, if its key, or what else it can be invalidated by, was dropped since: by
    this cache anywhere, or by a watched table. So neither a transaction that began before a change nor a
    replica that lags behind brings back what was dropped.

    Args:
        manager: Knows the server; closed by whoever made it.
        changes: The record of what was dropped.
        announcements: What transactions announce.
        timeout: Seconds that a connection is lent, and a statement takes, at most.
        max_connections: Connections that loaders of this process use at once; they have a pool of their own.

    Raises:
        ConfigurationError: If the timeout is no time.
    """

    def __init__(
        self,
        manager: PostgresManager,
        changes: Changes,
        announcements: Announcements,
        *,
        timeout: Seconds = 30.0,
        max_connections: int = 10,
    ) -> None:
        self.witness = ChangeWitness(changes)
        self.announcements = announcements
        self._manager = manager
        self._timeout = check_duration("timeout", timeout)
        self._max_connections = max_connections
        self._pool: PoolKeeper | None = None
        self._cluster: int | None = None
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def connection(
        self, *, repeatable_read: bool = False, timeout: Seconds | None = None
    ) -> Iterator[BoundedConnection]:
        """Lend a psycopg connection in a transaction of its own, which ends with the block.

        Args:
            repeatable_read: Whether all statements see the same snapshot.
            timeout: Seconds for the block, waiting for a connection included.

        Raises:
            psycopg.Error: What goes wrong, as psycopg says it.
        """
        seconds = self._timeout if timeout is None else check_duration("timeout", timeout)
        with self._opened().connection(time.monotonic() + seconds) as connection, connection.transaction():
            if repeatable_read:
                connection.execute("set transaction isolation level repeatable read")
            # Before anything is read, so that all of it is at least as new.
            note_position(_position_of(connection))
            yield connection

    def fetch(self, query: str | bytes, params: Params = None) -> list[Row]:
        """Run one statement and return its rows, as tuples.

        Args:
            query: With psycopg's placeholders, such as `%s` and `%(name)s`.
            params: Their values.

        Raises:
            psycopg.Error: What goes wrong, as psycopg says it.
        """
        with self.connection() as connection:
            return connection.execute(query.encode() if isinstance(query, str) else query, params).fetchall()

    @contextlib.contextmanager
    def reading(self, connection: C) -> Iterator[C]:
        """Mark what a loader reads on a connection of one's own, to the primary or to a replica of it.

        What the block reads counts, nothing before it. If the connection's transaction has already changed
        something, what is loaded is returned to the caller alone, since it may never be committed.

        Args:
            connection: psycopg 3, psycopg2, or Django's: whatever has `cursor()`.

        Raises:
            ConfigurationError: If it leads to another cluster of databases, where no position compares.
            Exception: What the driver raises.
        """
        note_position(self.position_of(connection))
        yield connection

    def position_of(self, connection: Any) -> Position:
        """Return where a connection of the user's own reads from now on.

        Raises:
            ConfigurationError, Exception: As of `reading`.
        """
        position = _position_of(connection)
        own = self._own_cluster()
        if position.cluster != own:
            raise ConfigurationError(
                f"expected a connection to the cluster of databases that L4 is in ({own}), or to a replica of"
                f" it, got one to {position.cluster}: what it reads cannot be compared with what was dropped"
            )
        return position

    def close(self) -> None:
        """Give back the connections; may be called twice."""
        self._opened().close()

    def _opened(self) -> PoolKeeper:
        pool = self._pool
        if pool is None:
            fresh = self._manager.new_pool(self._timeout, self._max_connections)
            with self._lock:
                # Nothing is connected yet, so the one that comes too late costs nothing.
                pool = self._pool = self._pool or fresh
        return pool

    def _own_cluster(self) -> int:
        if self._cluster is None:
            [row] = self._manager.fetch(POSITION.encode())
            self._cluster = Position.of(row).cluster
        return self._cluster


def _position_of(connection: Any) -> Position:
    return Position.of(row_of(connection, POSITION))
