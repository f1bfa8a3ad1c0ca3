"""Statements from the files in `sql/`, with identifiers put in safely."""

import functools
import importlib.resources
from typing import TypeAlias

from psycopg import sql

from greencache.errors import ConfigurationError

__all__ = ["MAX_IDENTIFIER_BYTES", "Statement", "identifier", "migration_names", "statement"]

Statement: TypeAlias = bytes
"""SQL with psycopg's placeholders and nothing of the user's but quoted identifiers."""

MAX_IDENTIFIER_BYTES = 63
"""PostgreSQL cuts longer names off, silently."""

_FILES = importlib.resources.files("greencache.backends") / "sql"


@functools.cache
def statement(name: str, schema: str) -> Statement:
    """Return the statement in a file of `sql/`.

    Args:
        name: The file's path without its suffix, such as `entries/get`.
        schema: The schema of greencache's tables.
    """
    text = (_FILES / f"{name}.sql").read_text(encoding="utf-8")
    return sql.SQL(text).format(schema=sql.Identifier(schema)).as_bytes(None)


def migration_names() -> list[str]:
    """Return the names of all migrations, oldest first; each begins with its number."""
    names = (file.name.removesuffix(".sql") for file in _FILES.iterdir() if file.name.endswith(".sql"))
    return sorted(names)


def identifier(text: object, what: str) -> tuple[str, ...]:
    """Return the parts of a name, `table` or `schema.table`, to be quoted by whoever uses them.

    Args:
        text: The name as the user wrote it.
        what: What it names, for the message.

    Raises:
        ConfigurationError: Not one or two parts that PostgreSQL could take as names.
    """
    parts = tuple(str(text).split("."))
    if not isinstance(text, str) or len(parts) > 2 or not all(map(_is_name, parts)):  # noqa: PLR2004
        raise ConfigurationError(
            f"expected {what} as name or schema.name, each of 1 to {MAX_IDENTIFIER_BYTES} bytes, got {text!r}"
        )
    return parts


def _is_name(part: str) -> bool:
    return 0 < len(part.encode(errors="replace")) <= MAX_IDENTIFIER_BYTES and "\0" not in part
