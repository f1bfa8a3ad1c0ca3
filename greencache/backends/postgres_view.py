"""One materialized view in the database: looked up, read by key, created and refreshed."""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from psycopg import sql

from greencache.backends.postgres import PostgresManager
from greencache.backends.postgres_errors import StatementRefusedError
from greencache.backends.postgres_session import PostgresSession, Row
from greencache.backends.postgres_sql import Statement, identifier
from greencache.errors import ConfigurationError
from greencache.typing import Seconds

__all__ = ["PostgresView", "Refresh", "ViewLayout"]

_LOCK = "greencache view "
_READ_COMMITTED = b"set transaction isolation level read committed"
_TRY_LOCK = b"select pg_try_advisory_xact_lock(hashtextextended(%s, 0))"
_LOCK_TIMEOUT = b"select set_config('lock_timeout', %s, true)"

_PLAIN_TYPES = frozenset(
    {
        "smallint", "integer", "bigint", "boolean", "real", "double precision", "numeric", "uuid", "date",
        "timestamp without time zone", "timestamp with time zone", "text", "character varying",
    }
)  # fmt: skip
"""Column types whose Python values a key template knows how to write; others are read as text."""


@dataclasses.dataclass(frozen=True, slots=True)
class ViewLayout:
    """What the database's catalogue says of a view.

    Args:
        types: The type of each column, spelled as in SQL.
        is_populated: Whether it has ever been filled.
        unique: The column names of each unique index.
        problem: Why it cannot be read by its keys; empty if it can.
    """

    types: Mapping[str, str] = dataclasses.field(default_factory=dict)
    is_populated: bool = False
    unique: tuple[frozenset[str], ...] = ()
    problem: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """What became of an attempt to refresh a view.

    Args:
        is_done: Whether this attempt has refreshed it; otherwise another one is under way.
        seconds: How long the refresh took.
        forgotten: Recorded drops that it has made superfluous.
    """

    is_done: bool
    seconds: Seconds = 0.0
    forgotten: int = 0


class PostgresView:
    """A materialized view.

    Args:
        manager: Talks to the server.
        name: `view`, or `schema.view`; quoted, so upper case is upper case.
        keys: The columns that identify a row.
        values: The columns to read.

    Raises:
        ConfigurationError: If a name cannot be one.
    """

    def __init__(
        self, manager: PostgresManager, name: str, keys: Sequence[str], values: Sequence[str]
    ) -> None:
        self.name = name
        self._manager = manager
        self._parts = identifier(name, "the view's name")
        self._keys = tuple(keys)
        self._values = tuple(values)

    # -- reading ---------------------------------------------------------------------------------------

    def describe(self) -> ViewLayout:
        """Look the view up in the catalogue.

        Raises:
            TierUnavailableError: The server does not answer.
        """
        name = sql.Identifier(*self._parts).as_string(None)
        rows = self._manager.fetch(self._manager.statement("views/describe"), {"name": name})
        if not rows:
            return ViewLayout(problem=f"expected a materialized view {self.name}, got none of that name")
        [(is_materialized, is_populated, types, unique)] = rows
        layout = ViewLayout(types or {}, is_populated, tuple(map(frozenset, unique)))
        return dataclasses.replace(layout, problem=self._problem(layout, is_materialized=is_materialized))

    def _problem(self, layout: ViewLayout, *, is_materialized: bool) -> str:
        if not is_materialized:
            return f"expected {self.name} to be a materialized view, got another kind of relation"
        if missing := {*self._keys, *self._values} - layout.types.keys():
            return f"expected columns {sorted(missing)} in {self.name}, got {sorted(layout.types)}"
        if not any(columns <= set(self._keys) for columns in layout.unique):
            return (
                f"expected a unique index on the columns {list(self._keys)} of {self.name}, without WHERE "
                f"and expressions, got none: create it, or let create_view do so"
            )
        if not layout.is_populated:
            return f"expected {self.name} to be populated, got it without data: refresh it once"
        return ""

    def reading(self, layout: ViewLayout) -> Statement:
        """Return the statement that reads a batch of rows.

        Its parameters are namespace, view, keys, and one list of texts for each key column, k0 and so on.
        Its rows are the key, the key columns, the view's age in seconds, and the value columns. Rows whose
        key was dropped since the last refresh are left out: in the same statement, so by the same snapshot
        as the contents, or a refresh between two statements would show an old row without its drop.
        """
        numbers = range(len(self._keys))
        return _composed(
            """
            select wanted.key, {key_columns},
                extract(epoch from clock_timestamp() - refreshed.refreshed_at)::float8, {value_columns}
            from unnest(%(keys)s::text[], {arrays}) as wanted (key, {names})
            join {view} as held on {join}
            left join {schema}.view_refreshes as refreshed on refreshed.view = %(view)s
            where not exists (
                select from {schema}.view_drops as dropped
                where dropped.namespace = %(namespace)s and dropped.view = %(view)s
                  and not dropped.is_pattern and dropped.key = wanted.key collate "C"
            )
            and not exists (
                select from {schema}.view_drops as dropped
                where dropped.namespace = %(namespace)s and dropped.view = %(view)s
                  and dropped.is_pattern and wanted.key like dropped.key escape '\\'
            )
            """,
            schema=_quoted(self._manager.schema),
            view=_quoted(*self._parts),
            key_columns=_listed(self._readable(column, layout) for column in self._keys),
            value_columns=_listed(_quoted("held", column) for column in self._values),
            names=_listed(_quoted(f"k{number}") for number in numbers),
            # The catalogue quotes the types' names; cast to the column's own type, so that its index serves.
            arrays=_listed(
                _raw(f"%(k{number})s::text[]::{_doubled(layout.types[column])}[]")
                for number, column in zip(numbers, self._keys, strict=True)
            ),
            join=sql.SQL(" and ").join(
                _composed_part("{} = {}", _quoted("held", column), _quoted("wanted", f"k{number}"))
                for number, column in zip(numbers, self._keys, strict=True)
            ),
        )

    def _readable(self, column: str, layout: ViewLayout) -> sql.Composable:
        quoted, kind = _quoted("held", column), layout.types[column]
        if kind in _PLAIN_TYPES:
            return quoted
        # As the type writes itself; a cast would add /32 to an address, but strips the padding of a char(n).
        return _composed_part("{}::text" if kind == "bpchar" else "concat({})", quoted)

    def scan(self, layout: ViewLayout, timeout: Seconds) -> Iterator[list[Row]]:
        """Yield the key columns of all rows, batch by batch, in one transaction of limited time."""
        text = "declare scanned no scroll cursor for select {columns} from {view} as held"
        columns = _listed(self._readable(column, layout) for column in self._keys)
        with self._manager.transaction(timeout) as session:
            session.execute(_composed(text, columns=columns, view=_quoted(*self._parts)))
            while rows := session.fetch(b"fetch 1000 from scanned"):
                yield rows

    def count(self) -> Row:
        """Return how many rows it has, and how many bytes it takes on disk."""
        text = "select count(*), pg_total_relation_size(%s::regclass) from {view}"
        query = _composed(text, view=_quoted(*self._parts))
        [row] = self._manager.fetch(query, [sql.Identifier(*self._parts).as_string(None)])
        return row

    # -- creating and refreshing -----------------------------------------------------------------------

    def create(self, query: str, timeout: Seconds) -> bool:
        """Create the view and its unique index unless they exist, and return whether the view was created.

        Args:
            query: What it selects; trusted like any SQL of the program.
            timeout: Seconds.

        Raises:
            ConfigurationError: The database refuses the query, or the key columns are not unique in it.
            TierUnavailableError: The server did not answer in time.
        """
        self._manager.ensure_schema()
        try:
            with self._manager.transaction(timeout) as session:
                # CREATE … IF NOT EXISTS of two sessions at once can still collide in the catalogue.
                session.fetch(b"select pg_advisory_xact_lock(hashtextextended(%s, 0))", [_LOCK + self.name])
                return self._create(session, query)
        except StatementRefusedError as error:
            raise ConfigurationError(f"the view {self.name} cannot be created: {error}") from error

    def _create(self, session: PostgresSession, query: str) -> bool:
        view = sql.Identifier(*self._parts)
        [(began, exists)] = session.fetch(
            b"select clock_timestamp(), to_regclass(%s) is not null", [view.as_string(None)]
        )
        if not exists:
            session.execute(_plain("create materialized view {} as {}", view, _raw(query)))
            self._record(session, began)
        digest = hashlib.sha256("\0".join((*self._parts, *self._keys)).encode()).hexdigest()
        name = sql.Identifier(f"greencache_{digest[:16]}")
        columns = _listed(sql.Identifier(column) for column in self._keys)
        session.execute(_plain("create unique index if not exists {} on {} ({})", name, view, columns))
        return not exists

    def refresh(self, *, concurrently: bool, timeout: Seconds, lock_timeout: Seconds) -> Refresh:
        """Fill the view anew, in one process at a time, and forget the drops that this covers.

        Why no drop is forgotten too early: a drop is recorded after its change has been committed. The drops
        seen here are therefore of changes that REFRESH, whose snapshot is taken later, sees as well. A drop
        recorded from then on has an id that is not among those seen, and stays.

        Args:
            concurrently: Let readers read meanwhile; done otherwise only where the view does not allow it.
            timeout: Seconds for all of it.
            lock_timeout: Seconds to wait for somebody who blocks the view; readers queue behind that wait.

        Raises:
            StatementRefusedError: The query fails; the last good contents are kept.
            TierUnavailableError: The server did not answer in time.
        """
        self._manager.ensure_schema()
        layout = self.describe()
        with self._manager.transaction(timeout) as session:
            session.execute(_READ_COMMITTED)
            [(is_ours,)] = session.fetch(_TRY_LOCK, [_LOCK + self.name])
            if not is_ours:
                return Refresh(is_done=False)
            session.fetch(_LOCK_TIMEOUT, [str(max(1, round(lock_timeout * 1000)))])
            seen = session.fetch(self._seen(), {"view": self.name})
            [(began,)] = session.fetch(b"select clock_timestamp()")
            can_be_concurrent = concurrently and layout.is_populated and bool(layout.unique)
            word = "concurrently " if can_be_concurrent else ""
            session.execute(_plain(f"refresh materialized view {word}{{}}", sql.Identifier(*self._parts)))
            return self._finish(session, began, [number for (number,) in seen])

    def _finish(self, session: PostgresSession, began: Any, seen: list[int]) -> Refresh:
        forgotten = session.execute(self._manager.statement("views/forget"), {"view": self.name, "ids": seen})
        self._record(session, began)
        [(seconds,)] = session.fetch(
            b"select extract(epoch from clock_timestamp() - %s::timestamptz)::float8", [began]
        )
        return Refresh(is_done=True, seconds=seconds, forgotten=forgotten)

    def _record(self, session: PostgresSession, began: Any) -> None:
        query = self._manager.statement("views/refreshed")
        session.execute(query, {"view": self.name, "began": began})

    def _seen(self) -> Statement:
        return _composed(
            "select id from {schema}.view_drops where view = %(view)s", schema=_quoted(self._manager.schema)
        )


def _composed(text: str, **parts: sql.Composable) -> Statement:
    return _raw(text).format(**parts).as_bytes(None)


def _composed_part(text: str, *parts: sql.Composable) -> sql.Composable:
    return _raw(text).format(*parts)


def _plain(text: str, *parts: sql.Composable) -> Statement:
    """Return a statement that is run without parameters, in which `%` is itself."""
    return _raw(text).format(*parts).as_bytes(None)


def _raw(text: str) -> sql.SQL:
    # psycopg wants literals, so that no user text gets here: it is the view's own query, or the catalogue's.
    return sql.SQL(text)


def _listed(parts: Iterable[sql.Composable]) -> sql.Composable:
    return sql.SQL(", ").join(parts)


def _quoted(*names: str) -> sql.Composable:
    """Return a quoted name for a statement with parameters, in which psycopg takes `%` for a placeholder."""
    return _raw(_doubled(sql.Identifier(*names).as_string(None)))


def _doubled(text: str) -> str:
    return text.replace("%", "%%")
