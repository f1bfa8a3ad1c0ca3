"""Watched tables: their triggers installed, listed and removed."""

import contextlib
import dataclasses
import json
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from psycopg import sql

from greencache.backends.postgres import PostgresManager
from greencache.backends.postgres_errors import StatementRefusedError
from greencache.backends.postgres_outbox_names import Naming
from greencache.backends.postgres_outbox_trigger import EVENTS, trigger_body
from greencache.backends.postgres_session import PostgresSession
from greencache.backends.postgres_sql import Statement, identifier
from greencache.errors import ConfigurationError
from greencache.keys import Template
from greencache.typing import Seconds

__all__ = ["TableWatch", "WatchedTables"]

_LOCK = "greencache watches of "
_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}
_REFUSED = ("42", "0A", "2B")
"""Classes of SQLSTATE that say that the database does not allow a thing: access rule or syntax, feature not
supported, dependent objects."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TableWatch:
    """What statements on a table invalidate.

    Args:
        table: As SQL spells it, with its schema; empty if it was dropped.
        namespace: Whose cache forgets.
        keys: Templates over the columns of a row, such as `factor:{region}:{metric}`: the keys to forget.
            Columns may be text, integers, numeric, boolean, uuid, dates, timestamps and enums. A timestamp
            with time zone is written in UTC.
        tags: Templates over the columns of a row: the tags to forget.
        columns: The column of each field of the templates that has another name than the field.
        notify: Whether each transaction wakes the listener, which otherwise looks once a second. `None` for
            yes, except where the server allows prepared transactions (`max_prepared_transactions`), since
            PostgreSQL refuses to prepare one that has notified.
        limit: Keys of one statement; if it changes more, all keys that begin as the template does are
            forgotten.
        waiting: Rows of the outbox that no cache of the namespace has forgotten yet.
    """

    table: str
    namespace: str
    keys: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    columns: Mapping[str, str] = dataclasses.field(default_factory=dict)
    notify: bool | None = None
    limit: int = 10_000
    waiting: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class _Table:
    oid: int
    name: str
    types: Mapping[str, str]
    family: tuple[tuple[str, str], ...]
    """Itself, its partitions and its children: a statement may name any of them."""


class WatchedTables:
    """The watched tables of a database.

    Args:
        manager: Talks to the server, as the owner of the tables.
        timeout: Seconds that a change takes at most.
        lock_timeout: Seconds to wait for somebody who uses the table; whoever comes later waits as long.
    """

    def __init__(
        self, manager: PostgresManager, *, timeout: Seconds = 30.0, lock_timeout: Seconds = 5.0
    ) -> None:
        self._manager = manager
        self._timeout = timeout
        self._lock_timeout = lock_timeout

    def install(self, watch: TableWatch) -> TableWatch:
        """Install the triggers of a watch, in place of those it has; return it with the table's full name.

        What was written before is not invalidated; what is written by then is, once it is committed.

        Raises:
            ConfigurationError: If there is no such table, or column, or the database does not allow it.
            TierUnavailableError: The server, or the lock on the table, was not to be had in time.
        """
        with self._changing(f"the table {watch.table} cannot be watched") as session:
            _check_encoding(session)
            table = self._find(session, watch.table)
            body = self._body(watch, table)
            for name, spec in self._of(session, table):
                if spec["namespace"] == watch.namespace:
                    self._drop(session, name)
            function = f"watch_{secrets.token_hex(6)}"
            for text in self._definitions(function, watch, table, body):
                session.execute(text)
        return dataclasses.replace(watch, table=table.name)

    def remove(self, table: str, namespace: str | None = None) -> int:
        """Remove the watches of a table, of one namespace or of all, and return how many there were.

        Raises:
            ConfigurationError: If there is no such table, or it is somebody else's.
            TierUnavailableError: The server, or the lock on the table, was not to be had in time.
        """
        with self._changing(f"the table {table} cannot be unwatched") as session:
            found = self._of(session, self._find(session, table))
            names = [name for name, spec in found if namespace in (None, spec["namespace"])]
            for name in names:
                self._drop(session, name)
        return len(names)

    def find_all(self) -> list[TableWatch]:
        """Return all watches of the database, in order of their tables.

        Raises:
            TierUnavailableError: The server did not answer.
        """
        self._manager.ensure_schema()
        query = self._manager.statement("outbox/watches")
        rows = self._manager.fetch(query, {"schema": self._manager.schema})
        return [
            TableWatch(table=table or "", waiting=waiting, **_spec(comment))
            for _, comment, table, waiting in rows
        ]

    # -- within one transaction ------------------------------------------------------------------------

    @contextlib.contextmanager
    def _changing(self, purpose: str) -> Iterator[PostgresSession]:
        """Open the transaction of a change, one at a time in a schema."""
        self._manager.ensure_schema()
        try:
            with self._manager.transaction(self._timeout) as session:
                milliseconds = str(max(1, round(self._lock_timeout * 1000)))
                session.fetch(b"select set_config('lock_timeout', %s, true)", [milliseconds])
                session.fetch(
                    b"select pg_advisory_xact_lock(hashtextextended(%s, 0))", [_LOCK + self._manager.schema]
                )
                yield session
        except StatementRefusedError as error:
            if not error.sqlstate.startswith(_REFUSED):
                raise
            raise ConfigurationError(f"{purpose}: {error}") from error

    def _find(self, session: PostgresSession, name: str) -> _Table:
        parts = identifier(name, "the table's name")
        query = self._manager.statement("outbox/describe")
        rows = session.fetch(query, {"name": sql.Identifier(*parts).as_string(None)})
        if not rows:
            raise ConfigurationError(f"expected a table {name}, got none of that name")
        [(kind, oid, full_name, types, family, is_temporary)] = rows
        if kind not in ("r", "p") or is_temporary:
            raise ConfigurationError(
                f"expected {name} to be a table that all sessions see, got "
                f"{'a temporary one' if is_temporary else _KINDS.get(kind, 'another kind of relation')}"
                f"; watch the tables that it is made of"
            )
        return _Table(oid, full_name, types or {}, tuple((schema, each) for schema, each in family))

    def _of(self, session: PostgresSession, table: _Table) -> list[tuple[str, dict[str, Any]]]:
        """Return the trigger functions of a table, and their specs; drop those that no table has any more."""
        query = self._manager.statement("outbox/watches")
        found = []
        for name, comment, watched, _ in session.fetch(query, {"schema": self._manager.schema}):
            if watched is None:
                self._drop(session, name)
            elif watched == table.name:
                found.append((name, _spec(comment)))
        return found

    def _drop(self, session: PostgresSession, function: str) -> None:
        name = sql.Identifier(self._manager.schema, function)
        session.execute(_sql("drop function {}() cascade", name))

    def _body(self, watch: TableWatch, table: _Table) -> str:
        schema = self._manager.schema
        keys, tags = (
            [Naming(Template(text), watch.columns, table.types, schema) for text in texts]
            for texts in (watch.keys, watch.tags)
        )
        return trigger_body(
            keys, tags, schema=schema, namespace=watch.namespace, notify=watch.notify, limit=watch.limit
        )

    def _definitions(self, function: str, watch: TableWatch, table: _Table, body: str) -> Iterator[Statement]:
        """Yield what makes the function and its triggers."""
        name = sql.Identifier(self._manager.schema, function)
        # With the rights of its owner: who may write to the table need not know of the outbox.
        yield _sql(
            "create function {}() returns trigger language plpgsql security definer"
            " set search_path = pg_catalog, pg_temp as {}",
            name,
            sql.Literal(body),
        )
        # It says what it was made of, wherever a dump takes it.
        yield _sql("comment on function {}() is {}", name, sql.Literal(_comment(watch)))
        for member in table.family:
            for event, relations in EVENTS.items():
                trigger = sql.Identifier(f"greencache_{function}_{event}")
                parts = [sql.SQL(f"{each[:3]} table as {each}") for each in relations]
                referencing = [sql.SQL("referencing"), *parts] if parts else []
                yield _sql(
                    "create trigger {} after " + event + " on {} {} for each statement execute function {}()",
                    trigger,
                    sql.Identifier(*member),
                    sql.SQL(" ").join(referencing),
                    name,
                )
                # Also where session_replication_role is replica, as tools set it that copy tables.
                yield _sql("alter table {} enable always trigger {}", sql.Identifier(*member), trigger)


def _check_encoding(session: PostgresSession) -> None:
    [(encoding,)] = session.fetch(b"select current_setting('server_encoding')")
    if encoding != "UTF8":
        raise ConfigurationError(f"expected a database in UTF8, as keys are, got {encoding}")


def _comment(watch: TableWatch) -> str:
    spec = dataclasses.asdict(watch)
    return json.dumps({name: value for name, value in spec.items() if name not in ("table", "waiting")})


def _spec(comment: str) -> dict[str, Any]:
    spec: dict[str, Any] = json.loads(comment)
    return spec | {"keys": tuple(spec["keys"]), "tags": tuple(spec["tags"])}


def _sql(text: str, *parts: sql.Composable) -> Statement:
    return sql.SQL(text).format(*parts).as_bytes(None)
