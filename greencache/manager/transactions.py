"""The verbs that belong to the database: reading it, and transactions that change it."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from greencache.errors import ConfigurationError
from greencache.manager.base import Verbs

if TYPE_CHECKING:
    from greencache.database.source import PostgresSource
    from greencache.manager.transaction import Transaction

__all__ = ["Transactions"]


class Transactions(Verbs):
    """The verbs that belong to the database."""

    _source: "PostgresSource | None"

    @property
    def postgres(self) -> "PostgresSource":
        """The database of L4, for loaders to read: what is older than an invalidation is not stored.

        Raises:
            ConfigurationError: If the cache has no L4.
        """
        if self._source is None:
            raise ConfigurationError("expected a cache with PostgreSQL below it, such as from_urls(l4=...)")
        return self._source

    def transaction(self, connection: Any) -> "AbstractContextManager[Transaction]":
        """Open a transaction on a psycopg 3 connection; what it changes here counts once it is committed.

        Each change is written into the outbox within the transaction, or the savepoint, and shares its fate.
        What was announced, by watched tables too, is done at the end of the block, after the commit; if this
        process dies before, whoever listens to the database does it. What the block loads is not stored.

        Args:
            connection: To the database of L4, with no transaction open.

        Returns:
            A context manager, which gives a `Transaction`.

        Raises:
            ConfigurationError: If the cache has no L4, or the connection leads elsewhere.
            InvalidArgumentError: If it is no such connection.
        """
        from greencache.manager.enlisting import transaction_on

        return transaction_on(connection, self._engine, self._defaults, self.postgres)

    def enlist(self, connection: Any) -> "Transaction":
        """Return what announces changes in the transaction that is open on a connection of any driver.

        For Django, SQLAlchemy and whoever else commits by itself: call `committed()` of it after the commit,
        or leave what was announced to whoever listens to the database.

        Args:
            connection: To the database of L4, in a transaction: psycopg 3, psycopg2, or Django's.

        Raises:
            ConfigurationError: If the cache has no L4, or the connection leads elsewhere.
            InvalidArgumentError: If it commits each statement by itself.
        """
        from greencache.manager.enlisting import enlisted

        return enlisted(connection, self._engine, self._defaults, self.postgres)
