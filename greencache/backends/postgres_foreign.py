"""Statements on connections of the user's own, of whatever driver."""

import contextlib
from collections.abc import Mapping
from typing import Any

from psycopg.rows import tuple_row

__all__ = ["row_of"]


def row_of(connection: Any, query: str, *parameters: Mapping[str, Any]) -> tuple[Any, ...]:
    """Run a statement in a connection's transaction and return its one row.

    Args:
        connection: Of any driver that follows DB-API 2.0; whatever it makes of rows.
        query: The statement.
        parameters: Its parameters by name, if it has any.

    Raises:
        Exception: What the driver raises.
    """
    # A row factory of psycopg 3 may make anything of a row, one of psycopg2 mappings.
    options = {"row_factory": tuple_row} if hasattr(connection, "pgconn") else {}
    with contextlib.closing(connection.cursor(**options)) as cursor:
        cursor.execute(query, *parameters)
        row = cursor.fetchone()
    return tuple(row.values() if isinstance(row, Mapping) else row)
