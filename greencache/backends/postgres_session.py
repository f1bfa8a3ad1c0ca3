"""One transaction on one connection."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import psycopg

from greencache.backends.postgres_connection import Backend, BoundedConnection
from greencache.backends.postgres_errors import translated
from greencache.backends.postgres_sql import Statement, statement
from greencache.typing import UNSET, Seconds

__all__ = ["Params", "PostgresSession", "Row"]

T = TypeVar("T")
Row: TypeAlias = tuple[Any, ...]
Params: TypeAlias = Mapping[str, Any] | Sequence[Any] | None


class PostgresSession:
    """One transaction: what it does is done together or not at all.

    Args:
        connection: Open, and used by nobody else meanwhile.
        where: The server, for messages.
    """

    def __init__(self, connection: BoundedConnection, where: str) -> None:
        self._connection = connection
        self._where = where

    def fetch(self, query: Statement, params: Params = None) -> list[Row]:
        """Run a statement and return its rows."""
        return self._run(lambda cursor: cursor.fetchall(), query, params)

    def execute(self, query: Statement, params: Params = None) -> int:
        """Run a statement, or several without parameters, and return how many rows it touched."""
        return self._run(lambda cursor: cursor.rowcount, query, params)

    def copy(self, query: Statement, types: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Copy rows to where a COPY … FROM STDIN in the binary format says.

        Args:
            query: The COPY.
            types: The type of each column.
            rows: What to copy.
        """
        try:
            with self._connection.cursor() as cursor, cursor.copy(query) as copied:
                copied.set_types(types)
                for row in rows:
                    copied.write_row(row)
        except psycopg.Error as error:
            raise translated(error, self._where, self._connection) from error

    @contextlib.contextmanager
    def transaction(self, timeout: Seconds) -> Iterator[None]:
        """Do what is in the block together or not at all; each statement sees what was committed before it.

        Args:
            timeout: Seconds that a statement takes at most.
        """
        try:
            with self._connection.transaction():
                # First, or it is refused; the database's default may be stricter.
                self.execute(b"set transaction isolation level read committed")
                milliseconds = str(max(1, round(timeout * 1000)))
                self.fetch(b"select set_config('statement_timeout', %s, true)", [milliseconds])
                yield
        except psycopg.Error as error:
            raise translated(error, self._where, self._connection) from error

    @property
    def deadline(self) -> Seconds:
        """When calls end, in seconds of `time.monotonic`."""
        return self._connection.deadline

    @property
    def is_idle(self) -> bool:
        """Whether the server has done with all that it was sent."""
        return self._connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE

    def backend(self) -> Backend | None:
        """Return who works for the connection, asking once; `None` if that cannot be known."""
        known = self._connection.backend
        if known is UNSET:
            [(pid, began)] = self.fetch(statement("backends/who", "")) or [(None, None)]
            # A pooler makes numbers up for its clients.
            is_known = began is not None and pid == self._connection.info.backend_pid
            known = self._connection.backend = Backend(pid, began) if is_known else None
        return known

    @property
    def is_pooled(self) -> bool:
        """Whether a pooler is in between, so that nothing lasts for a session; costs a round trip."""
        # A pooler makes numbers up for its clients.
        [(pid,)] = self.fetch(b"select pg_backend_pid()")
        return bool(pid != self._connection.info.backend_pid)

    def _run(self, take: Callable[[psycopg.Cursor[Row]], T], query: Statement, params: Params) -> T:
        try:
            return take(self._connection.execute(query, params))
        except psycopg.Error as error:
            raise translated(error, self._where, self._connection) from error
