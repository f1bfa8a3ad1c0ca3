"""Statements put together of parts, each of them quoted."""

from collections.abc import Iterable

from psycopg import sql

from greencache.backends.postgres_sql import Statement

__all__ = ["composed", "composed_part", "doubled", "listed", "plain", "quoted", "raw", "sql_name"]


def composed(text: str, **parts: sql.Composable) -> Statement:
    """Return a statement with parameters; names in its parts come from `quoted`."""
    return raw(text).format(**parts).as_bytes(None)


def composed_part(text: str, *parts: sql.Composable, **named: sql.Composable) -> sql.Composable:
    """Return a part of a statement."""
    return raw(text).format(*parts, **named)


def plain(text: str, *parts: sql.Composable) -> Statement:
    """Return a statement that is run without parameters, in which `%` is itself."""
    return raw(text).format(*parts).as_bytes(None)


def raw(text: str) -> sql.SQL:
    """Return text that is SQL: ours, the catalogue's, or a view's own query."""
    # psycopg wants literals, so that no user text gets here.
    return sql.SQL(text)


def listed(parts: Iterable[sql.Composable]) -> sql.Composable:
    """Return parts with commas between them."""
    return sql.SQL(", ").join(parts)


def quoted(*names: str) -> sql.Composable:
    """Return a quoted name for a statement with parameters, in which psycopg takes `%` for a placeholder."""
    return raw(doubled(sql.Identifier(*names).as_string(None)))


def doubled(text: str) -> str:
    """Return text in which psycopg finds no placeholder."""
    return text.replace("%", "%%")


def sql_name(*parts: str) -> str:
    """Return a name as SQL spells it, for a parameter that is one."""
    return sql.Identifier(*parts).as_string(None)
