"""Where a session reads in the history of a database."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from greencache.typing import Seconds

__all__ = ["POSITION", "Position"]

POSITION: Final = """
select
    case
        when not seen.is_replica then seen.snapshot::text
        else pg_snapshot_xmin(seen.snapshot)::text || ':' || pg_snapshot_xmin(seen.snapshot)::text || ':'
    end as snapshot,
    case when seen.is_replica and not seen.is_fixed then pg_last_wal_replay_lsn()::text end as replayed,
    seen.is_fixed,
    pg_current_xact_id_if_assigned() is not null as has_written,
    (select system_identifier from pg_control_system()) as cluster
from (
    select
        pg_current_snapshot(), pg_is_in_recovery(),
        current_setting('transaction_isolation') not in ('read committed', 'read uncommitted')
) as seen (snapshot, is_replica, is_fixed)
"""
"""Asks a session where it reads: what its statements see from now on is at least as new.

A replica does not tell which transactions were running. So all that it is known to see is what is older than
the oldest of them, and, unless its snapshot was taken before this statement, what it had replayed by then.
"""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a session reads in the history of a cluster of databases.

    Args:
        snapshot: Which transactions it sees, as `pg_current_snapshot` writes it.
        replayed: Of a replica, up to where it had replayed the primary's log, as far as that can be told.
        is_fixed: Whether later statements of its transaction see nothing newer.
        has_written: Whether its transaction has changed anything, which nobody else sees yet.
        cluster: What no other cluster is called; replicas are called as their primary.
        own: Transactions that have recorded drops which do not outdate what was read here.
        since: From when on something may have been read at older snapshots, by the server's clock, in seconds
            since the epoch; `None` if all was read at this one or a newer one.
    """

    snapshot: str
    replayed: str | None
    is_fixed: bool
    has_written: bool
    cluster: int
    own: tuple[str, ...] = ()
    since: Seconds | None = None

    @classmethod
    def of(cls, row: Sequence[Any]) -> "Position":
        """Return the position that a row of `POSITION` tells."""
        snapshot, replayed, is_fixed, has_written, cluster = row
        return cls(
            snapshot=snapshot,
            replayed=replayed,
            is_fixed=is_fixed,
            has_written=has_written,
            cluster=int(cluster),
        )
