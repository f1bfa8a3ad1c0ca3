"""A materialized view filled anew, in one process at a time, and what that changes told to everybody."""

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Final

from psycopg import sql

from greencache.backends.postgres import PostgresManager
from greencache.backends.postgres_alone import alone
from greencache.backends.postgres_compose import listed, plain, raw
from greencache.backends.postgres_errors import StatementRefusedError
from greencache.backends.postgres_session import PostgresSession
from greencache.backends.postgres_view import PostgresView, ViewLayout
from greencache.backends.postgres_view_changes import ViewChanges
from greencache.errors import ConfigurationError, GreencacheError
from greencache.typing import UNSET, Key, Seconds, Unset

__all__ = ["Refresh", "ViewReader", "ViewRefresher"]

_LOCK: Final = "greencache view "
_TRY_LOCK: Final = b"select pg_try_advisory_xact_lock(hashtextextended(%s, 0))"
_LIMITS: Final = b"""
select set_config('lock_timeout', %s, true), set_config('idle_in_transaction_session_timeout', '10s', true)
"""
"""Whoever is stopped in the middle of a refresh must not keep all others from it."""
_MOST_KEYS: Final = 10_000
"""Keys of one refresh that are told one by one; if it changes more, all that begin as the template does."""
_TUNED: Final = "set (autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 1000)"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """What became of an attempt to refresh a view.

    Args:
        is_done: Whether this attempt has refreshed it; otherwise another one is under way, or was first.
        seconds: How long the refresh took.
        forgotten: Recorded drops that it has made superfluous.
        changed: How many keys have another row, or none any more; `None` if that is not known.
        keys: Which, where they were few enough.
        patterns: Keys that may have another row, where they were not.
    """

    is_done: bool
    seconds: Seconds = 0.0
    forgotten: int = 0
    changed: int | None = None
    keys: tuple[Key, ...] = ()
    patterns: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class ViewReader:
    """Under which keys the rows of a view are read.

    Args:
        view: The view with the key columns.
        key_of: Returns the key of a row, given its key columns; `None` if it has none.
        pattern: Finds all such keys.
    """

    view: PostgresView
    key_of: Callable[[Sequence[object]], Key | None]
    pattern: str


@dataclasses.dataclass(frozen=True, slots=True)
class _Beginning:
    """What is known when a refresh begins."""

    began: Any
    snapshot: str
    may_make_tables: bool
    beneath: list[str]
    unknown: list[str]
    as_of: Any
    last: str | None


class ViewRefresher:
    """Creates and refreshes one view.

    Args:
        manager: Talks to the server.
        namespace: Of the cache that reads it; caches of other namespaces are told less exactly.
        readers: How this cache reads it: one, or several with other key columns.
        dependents: Views that are to be refreshed after it.
        announces: Whether anybody reads what is written into the outbox.
    """

    def __init__(
        self,
        manager: PostgresManager,
        namespace: str,
        readers: Sequence[ViewReader],
        *,
        dependents: Sequence[PostgresView] = (),
        announces: bool = True,
    ) -> None:
        self._manager = manager
        self._namespace = namespace
        self._readers = tuple(readers)
        self._view = readers[0].view
        self._dependents = list(dependents)
        self._announces = announces

    # -- creating --------------------------------------------------------------------------------------

    def create(self, query: str, timeout: Seconds) -> bool:
        """Create the view and its unique indexes unless they exist, and return whether the view was created.

        Args:
            query: What it selects; trusted like any SQL of the program.
            timeout: Seconds.

        Raises:
            ConfigurationError: The database refuses the query, or the key columns are not unique in it.
            TierUnavailableError: The server did not answer in time.
        """
        self._manager.ensure_schema()
        if all(_is_indexed(reader.view.describe(), reader.view) for reader in self._readers):
            return False
        name = raw(self._view.spelled)
        try:
            with alone(self._manager, timeout) as session, session.transaction(timeout):
                # CREATE … IF NOT EXISTS of two sessions at once can still collide in the catalogue.
                session.fetch(b"select pg_advisory_xact_lock(hashtextextended(%s, 0))", [self._lock])
                [(exists,)] = session.fetch(b"select to_regclass(%s) is not null", [self._view.spelled])
                if not exists:
                    session.execute(
                        plain(
                            "create materialized view {} as {}\nwith no data", name, raw(query.rstrip("; \n"))
                        )
                    )
                    session.execute(plain("alter materialized view {} " + _TUNED, name))
                for reader in self._readers:
                    self._index(session, reader.view)
                if not exists:
                    self._fill(session, is_concurrent=False)
                return not exists
        except StatementRefusedError as error:
            raise ConfigurationError(f"the view {self._view.name} cannot be created: {error}") from error

    def _index(self, session: PostgresSession, view: PostgresView) -> None:
        if _is_indexed(view.describe(session), view):
            return
        digest = hashlib.sha256("\0".join((view.spelled, *view.keys)).encode()).hexdigest()
        name = sql.Identifier(f"greencache_{digest[:16]}")
        columns = listed(sql.Identifier(column) for column in view.keys)
        session.execute(
            plain("create unique index if not exists {} on {} ({})", name, raw(view.spelled), columns)
        )

    # -- refreshing ------------------------------------------------------------------------------------

    def refresh(
        self,
        *,
        concurrently: bool,
        timeout: Seconds,
        lock_timeout: Seconds,
        last: str | Unset | None = UNSET,
    ) -> Refresh:
        """Fill the view anew, in one process at a time, and forget the drops that this covers.

        Args:
            concurrently: Let readers read meanwhile; done otherwise only where the view does not allow it.
            timeout: Seconds for all of it.
            lock_timeout: Seconds to wait for somebody who blocks the view; readers queue behind that wait.
            last: When it was refreshed last, as the database says it: nothing is done if it was since.

        Raises:
            StatementRefusedError: The query fails; the last good contents are kept.
            TierUnavailableError: The server did not answer in time.
        """
        self._manager.ensure_schema()
        with alone(self._manager, timeout) as session:
            with session.transaction(timeout):
                [(is_ours,)] = session.fetch(_TRY_LOCK, [self._lock])
                if not is_ours or (last is not UNSET and self._begin(session).last != last):
                    return Refresh(is_done=False)
                session.fetch(_LIMITS, [str(max(1, round(lock_timeout * 1000)))])
                refresh, is_bloated = self._fill(session, is_concurrent=concurrently)
            if is_bloated:
                self._vacuum(session)
        return refresh

    def _fill(self, session: PostgresSession, *, is_concurrent: bool) -> tuple[Refresh, bool]:
        """Refresh the view, tell of it, and return whether it should be vacuumed."""
        # Each statement sees what was committed before it: so REFRESH has seen all that this one has.
        start = self._begin(session)
        layout = self._view.describe(session)
        is_concurrent = is_concurrent and layout.is_populated and bool(layout.unique)
        changes = None
        if is_concurrent and start.may_make_tables and not layout.problem:
            changes = ViewChanges(session, [(reader.view, layout) for reader in self._readers])
        word = "concurrently " if is_concurrent else ""
        session.execute(plain(f"refresh materialized view {word}{{}}", raw(self._view.spelled)))
        refresh = self._changed(changes)
        if refresh.changed != 0:
            self._tell(session, refresh)
        forgotten, seconds, is_bloated = self._finish(session, start, refresh.changed)
        return dataclasses.replace(refresh, forgotten=forgotten, seconds=seconds), is_bloated

    def _changed(self, changes: ViewChanges | None) -> Refresh:
        """Return which keys have other rows."""
        if changes is None:
            return Refresh(is_done=True, patterns=tuple(reader.pattern for reader in self._readers))
        keys: dict[Key, None] = {}
        patterns: list[str] = []
        count = 0
        for number, reader in enumerate(self._readers):
            rows, total = changes.of(number, _MOST_KEYS)
            count = max(count, total)
            if total > _MOST_KEYS:
                patterns.append(reader.pattern)
            else:
                found = (reader.key_of(row) for row in rows if None not in row)
                keys.update((key, None) for key in found if key is not None)
        return Refresh(is_done=True, changed=count, keys=tuple(keys), patterns=tuple(patterns))

    def _tell(self, session: PostgresSession, refresh: Refresh) -> None:
        names = {"namespace": self._namespace, "view": self._view.known_as(session)}
        dependents = [view.known_as(session) for view in self._dependents]
        session.execute(self._manager.statement("views/wish"), {"views": dependents})
        if self._announces:
            told = {"keys": list(refresh.keys), "patterns": list(refresh.patterns)}
            session.execute(self._manager.statement("views/announce"), {**names, **told})
            session.execute(b"select pg_notify('greencache', '')")

    def _begin(self, session: PostgresSession) -> _Beginning:
        names = {"view": self._view.known_as(session), "name": self._view.spelled}
        [row] = session.fetch(self._manager.statement("views/begin"), names)
        return _Beginning(*row)

    def _finish(
        self, session: PostgresSession, start: _Beginning, changed: int | None
    ) -> tuple[int, Seconds, bool]:
        view = {"view": self._view.known_as(session)}
        # What a view beneath was made of counts too; one that nobody knows of has seen nothing for sure.
        snapshots = [start.snapshot, *start.beneath, *(["1:1:"] if start.unknown else [])]
        forgotten = session.execute(self._manager.statement("views/forget"), {**view, "snapshots": snapshots})
        session.execute(self._manager.statement("views/granted"), {**view, "snapshot": start.snapshot})
        as_of = None if start.unknown else min(filter(None, (start.began, start.as_of)))
        known = {"name": self._view.spelled, "began": start.began, "as_of": as_of, "changed": changed}
        query = self._manager.statement("views/refreshed")
        [(seconds, is_bloated)] = session.fetch(query, {**view, **known, "snapshots": snapshots})
        self._note(session, start.began, seconds, changed)
        return forgotten, seconds, is_bloated

    def _note(self, session: PostgresSession, began: Any, seconds: Seconds, changed: int | None) -> None:
        figures = {"began": began, "seconds": seconds, "changed": changed, "error": ""}
        noted = {"view": self._view.known_as(session), **figures}
        session.execute(self._manager.statement("views/history"), noted)

    def note_failed(self, error: Exception, pause: Seconds) -> None:
        """Let no process try again for a while.

        Args:
            error: Why it failed.
            pause: Seconds.

        Raises:
            TierUnavailableError: The server did not answer in time.
        """
        text = {"view": self._view.known_as(), "error": str(error)[:1000]}
        self._manager.execute(self._manager.statement("views/failed"), {**text, "pause": pause})
        noted = {**text, "began": None, "seconds": None, "changed": None}
        self._manager.execute(self._manager.statement("views/history"), noted)

    # -- bloat -----------------------------------------------------------------------------------------

    def _vacuum(self, session: PostgresSession) -> None:
        """Remove the rows that refreshes have replaced; autovacuum, where it is on, may come too late."""
        # What cannot be done now is done after the next refresh; health tells of views that stay bloated.
        with contextlib.suppress(GreencacheError):
            if session.is_pooled:
                return
            # To give room back to the system would lock out readers, those of replicas too.
            session.execute(plain("vacuum (skip_locked, truncate off, analyze) {}", raw(self._view.spelled)))
            session.execute(self._manager.statement("views/vacuumed"), {"view": self._view.known_as(session)})

    @property
    def _lock(self) -> str:
        return _LOCK + self._view.known_as()


def _is_indexed(layout: ViewLayout, view: PostgresView) -> bool:
    return any(columns <= set(view.keys) for columns in layout.unique)
