"""How a transaction of the database is joined: one that is opened here, or one of the caller's own."""

import contextlib
from collections.abc import Iterator
from typing import Any

from greencache.backends.postgres_foreign import row_of
from greencache.database.source import PostgresSource
from greencache.engine import Engine
from greencache.errors import InvalidArgumentError
from greencache.loading import seeing_uncommitted
from greencache.manager.transaction import Transaction
from greencache.options import EntryOptions
from greencache.typing import Seconds

__all__ = ["enlisted", "transaction_on"]

_IDLE = 0
"""As psycopg's TransactionStatus has it."""
_BEGAN = "select extract(epoch from transaction_timestamp())::float8"


@contextlib.contextmanager
def transaction_on(
    connection: Any, engine: Engine, defaults: EntryOptions, source: PostgresSource
) -> Iterator[Transaction]:
    """Open a transaction on a connection of psycopg 3, and do what it announces once it is committed.

    Args:
        connection: With no transaction open.
        engine: As of `Transaction`.
        defaults: As of `Transaction`.
        source: As of `Transaction`.

    Raises:
        InvalidArgumentError: If it is no such connection.
    """
    if not hasattr(connection, "pgconn") or hasattr(connection, "__aenter__"):
        raise InvalidArgumentError(
            f"expected a psycopg 3 connection, got {type(connection).__name__}; for others use"
            " cache.enlist(connection), and call committed() of what it returns after the commit"
        )
    status = connection.info.transaction_status
    if status != _IDLE:
        raise InvalidArgumentError(
            f"expected a connection with no transaction open, got one that is {status.name}: the end of the"
            " block is to be the commit. Commit or roll back first; or use cache.enlist(connection), and call"
            " committed() of what it returns after your own commit"
        )
    with connection.transaction():
        transaction = Transaction(engine, defaults, source, connection)
        with seeing_uncommitted():
            yield transaction
        transaction.finish()
    transaction.committed()


def enlisted(connection: Any, engine: Engine, defaults: EntryOptions, source: PostgresSource) -> Transaction:
    """Return what announces changes in the transaction that is open on a connection.

    Args:
        connection: Of any driver.
        engine: As of `Transaction`.
        defaults: As of `Transaction`.
        source: As of `Transaction`.

    Raises:
        InvalidArgumentError: If each of its statements is a transaction.
    """
    began, still = _beginning(connection), _beginning(connection)
    if began != still:
        raise InvalidArgumentError(
            "expected a connection in a transaction, got one in autocommit mode: what is announced would be"
            " committed before what it announces. Begin a transaction first"
        )
    return Transaction(engine, defaults, source, connection, began)


def _beginning(connection: Any) -> Seconds:
    """Return when a connection's transaction began; two statements of one transaction tell the same."""
    [began] = row_of(connection, _BEGAN)
    return float(began)
