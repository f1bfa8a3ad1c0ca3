"""One materialized view in the database: looked up, and read by key."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from psycopg import sql

from greencache.backends.postgres import PostgresManager
from greencache.backends.postgres_compose import composed, composed_part, doubled, listed, quoted, raw
from greencache.backends.postgres_session import PostgresSession, Row
from greencache.backends.postgres_sql import Statement, identifier
from greencache.typing import Seconds

__all__ = ["PostgresView", "ViewLayout"]

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
        self.spelled = sql.Identifier(*self._parts).as_string(None)
        """Its name as SQL spells it."""
        self._keys = tuple(keys)
        self._values = tuple(values)
        self._known_as = name if len(self._parts) > 1 else ""

    def known_as(self, session: PostgresSession | None = None) -> str:
        """Return schema.view: what the database's records call it, by whichever of its names it is spelled.

        Args:
            session: A transaction to look it up in; by default one of the pool's.

        Raises:
            TierUnavailableError: The server does not answer.
        """
        if self._known_as:
            return self._known_as
        asked = session or self._manager
        [(schema, is_there)] = asked.fetch(self._manager.statement("views/name"), {"name": self.spelled})
        name = f"{schema}.{self.name}"
        if is_there:
            self._known_as = name
        return name

    # -- reading ---------------------------------------------------------------------------------------

    def describe(self, session: PostgresSession | None = None) -> ViewLayout:
        """Look the view up in the catalogue.

        Args:
            session: A transaction to do it in; by default one of the pool's.

        Raises:
            TierUnavailableError: The server does not answer.
        """
        asked = session or self._manager
        rows = asked.fetch(self._manager.statement("views/describe"), {"name": self.spelled})
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

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that identify a row."""
        return self._keys

    def reading(self, layout: ViewLayout, query: str | None = None) -> Statement:
        """Return the statement that reads a batch of rows.

        Its parameters are namespace, view, keys, and one list of texts for each key column, k0 and so on.
        Its rows are the key, the key columns, the view's age in seconds, and the value columns. Rows whose
        key was dropped since the last refresh are left out: in the same statement, so by the same snapshot
        as the contents, or a refresh between two statements would show an old row without its drop.

        Args:
            layout: What `describe` found.
            query: What the view selects, to read its sources instead of its contents.
        """
        numbers = range(len(self._keys))
        return composed(
            """
            select wanted.key, {key_columns},
                extract(epoch from clock_timestamp() - refreshed.as_of)::float8, {value_columns}
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
            schema=quoted(self._manager.schema),
            view=quoted(*self._parts) if query is None else raw(f"({doubled(query)}\n)"),
            key_columns=listed(self.readable(column, layout) for column in self._keys),
            value_columns=listed(quoted("held", column) for column in self._values),
            names=listed(quoted(f"k{number}") for number in numbers),
            # The catalogue quotes the types' names; cast to the column's own type, so that its index serves.
            arrays=listed(
                raw(f"%(k{number})s::text[]::{doubled(layout.types[column])}[]")
                for number, column in zip(numbers, self._keys, strict=True)
            ),
            join=sql.SQL(" and ").join(
                composed_part("{} = {}", quoted("held", column), quoted("wanted", f"k{number}"))
                for number, column in zip(numbers, self._keys, strict=True)
            ),
        )

    def readable(self, column: str, layout: ViewLayout) -> sql.Composable:
        """Return what selects a column of `held` such that a key template knows how to write it."""
        name, kind = quoted("held", column), layout.types[column]
        if kind in _PLAIN_TYPES:
            return name
        # As the type writes itself; a cast would add /32 to an address, but strips the padding of a char(n).
        return composed_part("{}::text" if kind == "bpchar" else "concat({})", name)

    def scan(self, layout: ViewLayout, timeout: Seconds) -> Iterator[list[Row]]:
        """Yield the key columns of all rows, batch by batch, in one transaction of limited time."""
        text = "declare scanned no scroll cursor for select {columns} from {view} as held"
        columns = listed(self.readable(column, layout) for column in self._keys)
        with self._manager.transaction(timeout) as session:
            session.execute(composed(text, columns=columns, view=quoted(*self._parts)), {})
            while rows := session.fetch(b"fetch 1000 from scanned"):
                yield rows

    def count(self) -> Row:
        """Return how many rows it has, and how many bytes it takes on disk."""
        text = "select count(*), pg_total_relation_size(%s::regclass) from {view}"
        query = composed(text, view=quoted(*self._parts))
        [row] = self._manager.fetch(query, [self.spelled])
        return row
