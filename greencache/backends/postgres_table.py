"""The key-value table as a whole: whether it survives a crash, and many rows written at once."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from psycopg import sql

from greencache.backends.postgres import Effect, PostgresManager
from greencache.backends.postgres_alone import alone
from greencache.backends.postgres_compose import plain
from greencache.backends.postgres_errors import StatementRefusedError
from greencache.backends.postgres_schema import MIGRATION_LOCK
from greencache.backends.postgres_session import PostgresSession, Row
from greencache.backends.postgres_sql import Statement
from greencache.errors import ConfigurationError
from greencache.typing import Seconds

__all__ = ["put_by_copy", "set_unlogged"]

_REWRITE_TIME: Final[Seconds] = 300.0
_LOCK_TIMEOUT: Final = b"select set_config('lock_timeout', '5s', true)"
_STAGE: Final = b"""
create temporary table greencache_staged (key text, value bytea, seconds float8) on commit drop
"""
_COPY: Final = b"copy pg_temp.greencache_staged from stdin (format binary)"
_TYPES: Final = ("text", "bytea", "float8")


def set_unlogged(manager: PostgresManager, *, is_unlogged: bool) -> bool:
    """Make the table one that is empty after a crash and costs less to write, or one that survives it.

    All that is in it is written anew for that, while nobody can use it. Only entries and leases are in it:
    one that is gone is a miss, and a fill whose lease is gone is refused. Stamps, drops that wait for a view
    and the outbox are in other tables, which survive.

    Args:
        manager: Talks to the server, as the table's owner.
        is_unlogged: Whether it need not survive.

    Returns:
        Whether it had to be changed.

    Raises:
        ConfigurationError: The user may not.
        TierUnavailableError: The server, or the lock on the table, was not to be had in time.
    """
    query, schema = manager.statement("entries/persistence"), manager.schema
    if _is_unlogged(manager, query, schema) is is_unlogged:
        return False
    word = "unlogged" if is_unlogged else "logged"
    try:
        with alone(manager, _REWRITE_TIME) as session, session.transaction(_REWRITE_TIME):
            session.fetch(_LOCK_TIMEOUT)
            lock = MIGRATION_LOCK + schema
            session.fetch(b"select pg_advisory_xact_lock(hashtextextended(%s, 0))", [lock])
            if _is_unlogged(session, query, schema) is not is_unlogged:
                table = sql.Identifier(schema, "entries")
                session.execute(plain(f"alter table {{}} set {word}", table))
    except StatementRefusedError as error:
        raise ConfigurationError(f"the key-value table cannot be made {word}: {error}") from error
    return True


def put_by_copy(
    manager: PostgresManager, rows: Iterable[Sequence[Any]], parameters: Mapping[str, Any]
) -> list[Row]:
    """Store many rows through a staging table, together or not at all, and return their keys.

    Args:
        manager: Talks to the server.
        rows: Key, value and the seconds that it is kept.
        parameters: The other parameters of the statement.

    Raises:
        StatementRefusedError: The user may not make temporary tables, for example.
        TierUnavailableError: The server did not answer in time.
    """
    query = manager.statement("entries/put_staged")
    rows = list(rows)

    def put(session: PostgresSession) -> list[Row]:
        with session.transaction(manager.timeout):
            session.execute(_STAGE)
            session.copy(_COPY, _TYPES, rows)
            return session.fetch(query, parameters)

    return manager.call(put, Effect.OVERWRITES)


def _is_unlogged(asked: PostgresManager | PostgresSession, query: Statement, schema: str) -> bool:
    [(is_unlogged,)] = asked.fetch(query, {"schema": schema})
    return bool(is_unlogged)
