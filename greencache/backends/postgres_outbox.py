"""The outbox of one namespace: who may read it, and what is in it."""

import dataclasses
import itertools
from collections.abc import Sequence

from greencache.backends.postgres import PostgresManager
from greencache.backends.postgres_errors import StatementRefusedError
from greencache.backends.postgres_outbox_session import OutboxSession
from greencache.backends.postgres_session import PostgresSession
from greencache.typing import Seconds

__all__ = ["START", "Outbox", "Page", "Position", "Probe"]

_LOCK = "greencache outbox of "
_TRY_LOCK = b"select pg_try_advisory_xact_lock(hashtextextended(%s, 0))"
_MOST_ROWS = 1_000
_MOST_NAMES = 10_000
"""Keys, tags and patterns in one page, roughly: what is told to the tiers at once."""


@dataclasses.dataclass(frozen=True, slots=True)
class Position:
    """Up to where the outbox was read.

    Args:
        since: A snapshot, as `pg_current_snapshot` writes it; what it saw was read.
        xact, id: The last row that was read of those that it did not see.
    """

    since: str
    xact: str = "0"
    id: int = 0


START = Position("1:1:")
"""Before everything: the first transaction of a cluster is number 3."""


@dataclasses.dataclass(frozen=True, slots=True)
class Probe:
    """What there is to do.

    Args:
        is_wanted: Whether a table is watched, or something waits.
        is_free: Whether nobody listens.
        lag: Seconds that the oldest row has waited; 0 if there is none.
    """

    is_wanted: bool
    is_free: bool
    lag: Seconds


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Rows of the outbox.

    Args:
        snapshot: What was visible when they were read.
        rows: By what they are forgotten: transaction and number.
        keys, tags, patterns: What they name, each once.
        is_everything: Whether one of them is for the whole namespace.
        refreshed: Keys that have another row in a view by now.
        refreshed_patterns: Patterns of such keys.
        lag: Seconds that the one that has waited longest has.
        is_last: Whether nothing else was visible.
    """

    snapshot: str
    rows: tuple[tuple[str, int], ...] = ()
    keys: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    is_everything: bool = False
    refreshed: tuple[str, ...] = ()
    refreshed_patterns: tuple[str, ...] = ()
    lag: Seconds = 0.0
    is_last: bool = True


class Outbox:
    """The outbox of one namespace. Sessions are given by the caller: one that holds the lock, or a pool's.

    Args:
        manager: Talks to the server.
        namespace: Whose rows.
    """

    def __init__(self, manager: PostgresManager, namespace: str) -> None:
        self.manager = manager
        self._namespace = namespace
        self._lock = f"{_LOCK}{manager.schema} {namespace}"

    def probe(self) -> Probe:
        """Ask what there is to do; nothing where greencache's tables are not there.

        Raises:
            TierUnavailableError: The server did not answer.
        """
        schema = self.manager.schema
        params = {"schema": schema, "lock": self._lock, "namespace": self._namespace}
        try:
            [(is_wanted, is_free, lag)] = self.manager.fetch(self.manager.statement("outbox/probe"), params)
        except StatementRefusedError as error:
            if not error.is_for_want_of_a_table:
                raise
            return Probe(is_wanted=False, is_free=False, lag=0.0)
        return Probe(is_wanted, is_free, lag)

    def open(self, timeout: Seconds) -> OutboxSession:
        """Connect, and try to be the one that listens.

        Args:
            timeout: Seconds that each call on the session takes at most.

        Raises:
            TierUnavailableError: The server did not answer in time.
        """
        return OutboxSession(self.manager, self._lock, timeout)

    def is_ours(self, session: PostgresSession) -> bool:
        """Return whether nobody else reads, and keep others from reading until the transaction ends."""
        [(is_ours,)] = session.fetch(_TRY_LOCK, [self._lock])
        return bool(is_ours)

    def end_hung(self, patience: Seconds) -> int:
        """End the session of a leader that has been silent for so many seconds; return how many there were.

        Raises:
            TierUnavailableError: The server did not answer.
        """
        query = self.manager.statement("outbox/end_hung")
        [(count,)] = self.manager.fetch(query, {"lock": self._lock, "patience": patience})
        return int(count)

    def read(self, session: PostgresSession, position: Position) -> Page:
        """Return the next rows that have become visible since a position."""
        found = session.fetch(
            self.manager.statement("outbox/read"),
            {
                "namespace": self._namespace,
                "since": position.since,
                "xact": position.xact,
                "id": position.id,
                "rows": _MOST_ROWS,
                "names": _MOST_NAMES,
            },
        )
        snapshot, total, *_ = found[0]
        if total is None:
            return Page(snapshot=snapshot)
        _, _, xacts, ids, ages, keys, tags, patterns, everything, refreshes = zip(*found, strict=True)
        told = [not is_refresh for is_refresh in refreshes]
        return Page(
            snapshot=snapshot,
            rows=tuple(zip(xacts, ids, strict=True)),
            keys=_merged(keys, told),
            tags=_merged(tags, told),
            patterns=_merged(patterns, told),
            is_everything=any(everything),
            refreshed=_merged(keys, refreshes),
            refreshed_patterns=_merged(patterns, refreshes),
            lag=max(ages),
            is_last=len(found) == total < _MOST_ROWS,
        )

    def forget(self, session: PostgresSession, page: Page) -> None:
        """Delete rows that nobody needs any more."""
        xacts, ids = zip(*page.rows, strict=True)
        params = {"namespace": self._namespace, "xacts": list(xacts), "ids": list(ids)}
        session.execute(self.manager.statement("outbox/forget"), params)

    def collapse(self, session: PostgresSession, age: Seconds) -> int:
        """Let one row cover those of any namespace that nobody has read for so many seconds.

        Returns:
            How many namespaces had such.
        """
        return len(session.fetch(self.manager.statement("outbox/collapse"), {"age": age}))


def _merged(columns: Sequence[list[str]], chosen: Sequence[bool]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for names in itertools.compress(columns, chosen) for name in names))
