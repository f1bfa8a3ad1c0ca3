"""Which keys of a view a refresh has changed."""

from collections.abc import Sequence
from typing import Final

from psycopg import sql

from greencache.backends.postgres_compose import composed, composed_part, doubled, listed, quoted, raw
from greencache.backends.postgres_session import PostgresSession, Row
from greencache.backends.postgres_view import PostgresView, ViewLayout

__all__ = ["ViewChanges"]

_TOUCHED: Final = """
select {columns} from {view} as held
where {have_keys} and held.xmin = pg_current_xact_id()::xid
union all
select {columns} from {before} as held
where {have_keys} and not exists (select from {view} as present where {are_equal})
"""
_COUNT: Final = "select count(*) from ({touched}) as touched"
_LISTED: Final = "{touched} limit %(limit)s"
_BEFORE: Final = raw("pg_temp.greencache_before")


class ViewChanges:
    """Tells after a refresh, in its transaction, which keys have another row, and which have none any more.

    REFRESH … CONCURRENTLY writes only the rows that differ, so these are known by the transaction that has
    written them. Of those that it deletes nothing is left: so the keys of before are copied first.

    Args:
        session: The transaction, before the refresh.
        views: The view, with the key columns of each of its readers, and what it looks like.
    """

    def __init__(self, session: PostgresSession, views: Sequence[tuple[PostgresView, ViewLayout]]) -> None:
        self._session = session
        self._views = list(views)
        columns = dict.fromkeys(column for view, _ in views for column in view.keys)
        session.execute(
            composed(
                "create temporary table greencache_before on commit drop as"
                " select {columns} from {view} as held",
                columns=listed(quoted("held", column) for column in columns),
                view=_name(views[0][0]),
            ),
            {},
        )

    def of(self, number: int, limit: int) -> tuple[list[Row], int]:
        """Return the key columns of what has changed for a reader, and how many there are.

        Args:
            number: Which reader.
            limit: How many are returned at most.
        """
        view, layout = self._views[number]
        parts = {
            "columns": listed(view.readable(column, layout) for column in view.keys),
            "view": _name(view),
            "before": _BEFORE,
            # Where a key column is null there is no key.
            "have_keys": sql.SQL(" and ").join(
                composed_part("{} is not null", quoted("held", column)) for column in view.keys
            ),
            "are_equal": sql.SQL(" and ").join(
                composed_part("{} = {}", quoted("present", column), quoted("held", column))
                for column in view.keys
            ),
        }
        [(count,)] = self._session.fetch(composed(_COUNT, touched=composed_part(_TOUCHED, **parts)), {})
        if not count:
            return [], 0
        query = composed(_LISTED, touched=composed_part(_TOUCHED, **parts))
        return self._session.fetch(query, {"limit": limit}), count


def _name(view: PostgresView) -> sql.Composable:
    return raw(doubled(view.spelled))
