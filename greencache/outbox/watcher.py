"""TableWatcher: which tables of a database invalidate what."""

from collections.abc import Iterable, Mapping
from typing import Self

from greencache.backends.postgres import PostgresManager
from greencache.backends.postgres_outbox_watch import TableWatch, WatchedTables
from greencache.errors import ConfigurationError
from greencache.keys import Template, check_namespace

__all__ = ["TableWatch", "TableWatcher"]


class TableWatcher:
    """Makes tables of a PostgreSQL database invalidate what is cached of them, whoever changes them.

    A watched table has triggers that write, within the writer's own transaction, which keys and tags its
    statement has changed. So exactly what is committed is invalidated, by whatever program or SQL client.

    Args:
        database: The database's URL, or a `PostgresManager`, which is closed together with this.
        namespace: Of the caches that are to forget.
        schema: The schema of greencache's own tables, if the database is given by its URL.

    Raises:
        ConfigurationError: If the URL or the namespace is of no use. Nothing is connected yet.
    """

    def __init__(
        self, database: str | PostgresManager, *, namespace: str = "default", schema: str = "greencache"
    ) -> None:
        if isinstance(database, str):
            # Whoever installs triggers waits for others, and is no request that somebody waits for.
            # Nor does it prepare anything, or send options, which poolers know nothing of.
            database = PostgresManager(
                database,
                schema=schema,
                timeout=10.0,
                max_connections=2,
                statement_timeout=None,
                prepare_threshold=None,
            )
        self.namespace = check_namespace(namespace)
        self._manager = database
        self._tables = WatchedTables(database)

    def migrate(self) -> list[str]:
        """Create or migrate greencache's own tables, and return the names of the migrations applied.

        May be called by many at once, and again.

        Raises:
            ConfigurationError: The user may not create them.
            TierUnavailableError: The server did not answer in time.
        """
        return self._manager.install_schema()

    def watch(
        self,
        table: str,
        *,
        keys: Iterable[str] = (),
        tags: Iterable[str] = (),
        columns: Mapping[str, str] | None = None,
        notify: bool | None = None,
        limit: int = 10_000,
    ) -> TableWatch:
        """Let every statement that changes a table invalidate keys and tags, when it is committed.

        Replaces the watch that the table has for this namespace. Where partitions are added later and
        written to by their own names, watch the table again.

        Args:
            table: `table`, or `schema.table`; upper case is upper case.
            keys: As of `TableWatch`.
            tags: As of `TableWatch`.
            columns: As of `TableWatch`.
            notify: As of `TableWatch`.
            limit: As of `TableWatch`.

        Raises:
            ConfigurationError: If there is no such table or column, a column's type has no text of its own,
                or the user does not own the table.
            TierUnavailableError: The server, or the lock on the table, was not to be had in time.
        """
        watch = TableWatch(
            table=table,
            namespace=self.namespace,
            keys=_templates(keys, "keys"),
            tags=_templates(tags, "tags"),
            columns=dict(columns or {}),
            notify=notify,
            limit=limit,
        )
        _check(watch)
        return self._tables.install(watch)

    def unwatch(self, table: str, *, all_namespaces: bool = False) -> int:
        """Remove a table's triggers, and return how many watches it had. What they have written still counts.

        Args:
            table: As of `watch`.
            all_namespaces: Whether those for other namespaces go too.

        Raises:
            ConfigurationError: If there is no such table, or the user does not own it.
            TierUnavailableError: The server, or the lock on the table, was not to be had in time.
        """
        return self._tables.remove(table, None if all_namespaces else self.namespace)

    def watches(self) -> list[TableWatch]:
        """Return the watches of all tables and namespaces.

        Raises:
            TierUnavailableError: The server did not answer in time.
        """
        return self._tables.find_all()

    def close(self) -> None:
        """Give back the connections; may be called twice."""
        self._manager.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _templates(texts: Iterable[str], name: str) -> tuple[str, ...]:
    if isinstance(texts, str):
        raise ConfigurationError(f"expected {name} as several templates, got one text; put it into a list")
    return tuple(Template(text).text for text in texts)


def _check(watch: TableWatch) -> None:
    if not watch.keys and not watch.tags:
        raise ConfigurationError("expected templates of keys or of tags, got neither: nothing would happen")
    fields = {field for text in (*watch.keys, *watch.tags) for field in Template(text).fields}
    if unknown := watch.columns.keys() - fields:
        raise ConfigurationError(f"expected columns for the fields {sorted(fields)}, got {sorted(unknown)}")
    if watch.limit < 1:
        raise ConfigurationError(f"expected a limit of one key or more, got {watch.limit}")
