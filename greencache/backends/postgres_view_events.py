"""Triggers by which tables make a view due for a refresh."""

import hashlib
from collections.abc import Sequence
from typing import Final

from psycopg import sql

from greencache.backends.postgres import PostgresManager
from greencache.backends.postgres_alone import alone
from greencache.backends.postgres_compose import plain
from greencache.backends.postgres_errors import StatementRefusedError
from greencache.backends.postgres_session import PostgresSession
from greencache.backends.postgres_sql import identifier
from greencache.errors import ConfigurationError
from greencache.typing import Seconds

__all__ = ["ViewEvents"]

_TIMEOUT: Final[Seconds] = 30.0
_LOCK: Final = "greencache watches of "
_TABLES: Final = ("r", "p")
_ON: Final = "after insert or update or delete or truncate"


class ViewEvents:
    """The tables whose changes make a view due.

    Args:
        manager: Talks to the server, as the owner of the tables.
        view: The view's name, as it is scheduled under.
        former: Other names of it: what was installed under these goes.
        lock_timeout: Seconds to wait for somebody who uses a table; whoever comes later waits as long.
    """

    def __init__(
        self,
        manager: PostgresManager,
        view: str,
        *,
        former: Sequence[str] = (),
        lock_timeout: Seconds = 5.0,
    ) -> None:
        self._manager = manager
        self._view = view
        self._lock_timeout = lock_timeout
        self._trigger = _trigger_of(view)
        self._former = {_trigger_of(name) for name in former} - {self._trigger}

    def install(self, tables: Sequence[str]) -> None:
        """Let these tables, with their partitions, make the view due, and no others; may be done again.

        Raises:
            ConfigurationError: If one is no table, or the database does not allow it.
            TierUnavailableError: The server, or the lock on a table, was not to be had in time.
        """
        self._manager.ensure_schema()
        try:
            with alone(self._manager, _TIMEOUT) as session, session.transaction(_TIMEOUT):
                lock_timeout = str(max(1, round(self._lock_timeout * 1000)))
                session.fetch(b"select set_config('lock_timeout', %s, true)", [lock_timeout])
                name = _LOCK + self._manager.schema
                session.fetch(b"select pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
                self._replace(session, tables)
        except StatementRefusedError as error:
            raise ConfigurationError(
                f"the tables {list(tables)} cannot make the view {self._view} due: {error}"
            ) from error

    def _replace(self, session: PostgresSession, tables: Sequence[str]) -> None:
        wanted = {member for table in tables for member in self._members(session, table)}
        for former in sorted(self._former):
            self._remove(session, former, self._found(session, former))
        found = self._found(session, self._trigger)
        self._remove(session, self._trigger, found - wanted)
        trigger = sql.Identifier(self._trigger)
        for member in sorted(wanted - found):
            relation = sql.Identifier(*member)
            session.execute(
                plain(
                    "create trigger {} " + _ON + " on {} for each statement execute function {}({})",
                    trigger,
                    relation,
                    sql.Identifier(self._manager.schema, "wish_refresh"),
                    sql.Literal(self._view),
                )
            )
            # Also where session_replication_role is replica, as tools set it that copy tables.
            session.execute(plain("alter table {} enable always trigger {}", relation, trigger))

    def _found(self, session: PostgresSession, trigger: str) -> set[tuple[str, str]]:
        rows = session.fetch(self._manager.statement("views/triggers"), {"name": trigger})
        return {(schema, table) for schema, table in rows}

    @staticmethod
    def _remove(session: PostgresSession, trigger: str, tables: set[tuple[str, str]]) -> None:
        for table in sorted(tables):
            session.execute(plain("drop trigger {} on {}", sql.Identifier(trigger), sql.Identifier(*table)))

    def _members(self, session: PostgresSession, table: str) -> list[tuple[str, str]]:
        """Return a table, its partitions and its children: a statement may name any of them."""
        spelled = sql.Identifier(*identifier(table, "a table of on")).as_string(None)
        rows = session.fetch(self._manager.statement("outbox/describe"), {"name": spelled})
        if not rows or rows[0][0] not in _TABLES or rows[0][5]:
            got = "none of that name" if not rows else "another kind of relation"
            raise ConfigurationError(
                f"expected on of {self._view} as tables that all sessions see, or views of this cache; "
                f"{table}: got {got}"
            )
        return [(schema, name) for schema, name in rows[0][4]]


def _trigger_of(view: str) -> str:
    # Quoted names are cut off at 63 bytes; a digest is not.
    return f"greencache_wish_{hashlib.sha256(view.encode()).hexdigest()[:16]}"
