"""greencache's own tables, and the migrations that make them."""

from psycopg import sql

from greencache.backends.postgres_errors import StatementRefusedError
from greencache.backends.postgres_session import PostgresSession
from greencache.backends.postgres_sql import Statement, migration_names, statement
from greencache.errors import ConfigurationError

__all__ = ["MIGRATION_LOCK", "is_installed", "migrate"]

_UNDEFINED = ("42P01", "3F000")
"""SQLSTATE of a missing table, and of a missing schema."""

MIGRATION_LOCK = "greencache migrations of "


def is_installed(session: PostgresSession, schema: str) -> bool:
    """Return whether every migration has been applied; needs no right but to read."""
    try:
        rows = session.fetch(_compose("select name from {schema}.migrations", schema))
    except StatementRefusedError as error:
        if error.sqlstate in _UNDEFINED:
            return False
        raise
    return {name for (name,) in rows}.issuperset(migration_names())


def migrate(session: PostgresSession, schema: str) -> list[str]:
    """Apply the missing migrations in one transaction, and return their names.

    Args:
        session: An open transaction: what fails leaves nothing behind.
        schema: The schema of greencache's tables.

    Raises:
        ConfigurationError: The user may not create it.
    """
    # Ends with the transaction, however that ends; the others wait here and then find the work done.
    session.fetch(b"select pg_advisory_xact_lock(hashtextextended(%s, 0))", [MIGRATION_LOCK + schema])
    try:
        if not session.fetch(b"select 1 from pg_namespace where nspname = %s", [schema]):
            # IF NOT EXISTS would ask for the right to create one even where there is one.
            session.execute(_compose("create schema {schema}", schema))
        return _apply_missing(session, schema)
    except StatementRefusedError as error:
        if error.sqlstate != "42501":
            raise
        raise ConfigurationError(
            f"expected the right to create tables in the schema {schema!r}; let its owner run "
            f"the migrations once, or name another schema: {error}"
        ) from error


def _apply_missing(session: PostgresSession, schema: str) -> list[str]:
    session.execute(
        _compose(
            "create table if not exists {schema}.migrations"
            " (name text primary key, applied timestamptz not null default clock_timestamp())",
            schema,
        )
    )
    rows = session.fetch(_compose("select name from {schema}.migrations", schema))
    applied = {name for (name,) in rows}
    missing = [name for name in migration_names() if name not in applied]
    for name in missing:
        session.execute(statement(name, schema))
        session.execute(_compose("insert into {schema}.migrations (name) values (%s)", schema), [name])
    return missing


def _compose(text: str, schema: str) -> Statement:
    return sql.SQL(text).format(schema=sql.Identifier(schema)).as_bytes(None)
