"""Statements on connections of any driver."""

import contextlib
import sqlite3

import pytest

from greencache.backends.postgres_foreign import row_of


def as_mapping(cursor, row):
    """Make a mapping of a row, as some cursors of psycopg2 do."""
    return {name: value for (name, *_), value in zip(cursor.description, row, strict=True)}


@pytest.mark.parametrize("factory", [None, sqlite3.Row, as_mapping])
def test_a_row_is_a_tuple_whatever_the_driver_makes_of_it(factory):
    """Here of one that is part of Python."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.row_factory = factory
        assert row_of(connection, "select :number as a, 'x' as b", {"number": 1}) == (1, "x")
        assert row_of(connection, "select 2 as a") == (2,)
