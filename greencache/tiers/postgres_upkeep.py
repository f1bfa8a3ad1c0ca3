"""The chore of keeping the key-value table small: what is gone is deleted, and what is too much."""

from typing import Final

from greencache.backends.postgres import PostgresManager
from greencache.backends.postgres_compose import sql_name
from greencache.options import check_duration
from greencache.stats import TierCounters
from greencache.typing import Seconds

__all__ = ["TableUpkeep"]

_BATCH: Final = 1_000
"""Rows in one transaction: few enough that no writer waits long for them."""
_MOST_BATCHES: Final = 1_000
_PAGES: Final = 2_000
"""How many pages of the table an estimate reads."""
_ROOM: Final = 0.05
"""Part of a limit that is freed beyond it, so that not every round has to evict."""


class TableUpkeep:
    """Deletes entries that are gone, then those that are too many, once in an interval for the whole fleet.

    Whoever begins writes down when, by the database's clock; who finds that somebody has, waits. Eviction
    never brings anything back: a row that is not there is a miss, and a fill whose lease is gone is refused.

    Args:
        manager: Talks to the server.
        namespace: Whose entries.
        interval: Seconds from one round to the next.
        size: Bytes that keys and values may take as stored; `None` for as many as there are.
        max_entries: How many entries there may be; `None` for any number.
        counters: Counts what is deleted.
    """

    name = "sweeping the key-value table"

    def __init__(
        self,
        manager: PostgresManager,
        namespace: str,
        *,
        interval: Seconds,
        size: int | None,
        max_entries: int | None,
        counters: TierCounters,
    ) -> None:
        self._manager = manager
        self._namespace = namespace
        self._interval = check_duration("sweep_interval", interval)
        self._size = size
        self._max_entries = max_entries
        self._counters = counters

    def attempt(self) -> Seconds:
        """Do a round if it is time, and return the seconds until the next one.

        Raises:
            TierUnavailableError: The server did not answer in time.
        """
        self._manager.ensure_schema()
        named = {"namespace": self._namespace, "name": "sweep", "interval": self._interval}
        if self._manager.fetch(self._manager.statement("chores/claim"), named):
            self.sweep()
            self.evict()
            return self._interval
        [(left,)] = self._manager.fetch(self._manager.statement("chores/wait"), named)
        return max(float(left), 0.1)

    def sweep(self) -> int:
        """Delete what is gone, a batch at a time, and return how many rows that were."""
        removed = 0
        for _ in range(_MOST_BATCHES):
            count = self.sweep_batch(_BATCH)
            removed += count
            if count < _BATCH:
                break
        return removed

    def sweep_batch(self, limit: int) -> int:
        """Delete some of what is gone, and return how many rows that were; fewer than `limit`: all.

        Args:
            limit: Rows at most. Rows in use by others are passed over, so many may sweep at once.
        """
        self._manager.ensure_schema()
        query = self._manager.statement("entries/sweep")
        removed = self._manager.execute(query, {"namespace": self._namespace, "limit": limit})
        self._counters.expired += removed
        return removed

    def evict(self) -> int:
        """Delete what is too much, soonest gone first, and return how many entries that were."""
        too_many, too_large = self._excess()
        removed = 0
        for _ in range(_MOST_BATCHES):
            if too_many <= 0 and too_large <= 0:
                break
            # By size, a few at a time: one entry may be as large as many others.
            limit = min(_BATCH, too_many) if too_many > 0 else _BATCH // 10
            names = {"namespace": self._namespace, "limit": limit}
            [(count, size)] = self._manager.fetch(self._manager.statement("entries/evict"), names)
            self._counters.evictions += count
            self._counters.count_evictions += count if too_many > 0 else 0
            removed, too_many, too_large = removed + count, too_many - count, too_large - size
            if not count:
                break
        return removed

    def _excess(self) -> tuple[int, int]:
        """Return by how many entries and by how many bytes there is too much, roughly."""
        if self._size is None and self._max_entries is None:
            return 0, 0
        table = sql_name(self._manager.schema, "entries")
        names = {"namespace": self._namespace, "pages": _PAGES, "table": table}
        [(whole, entries, size)] = self._manager.fetch(self._manager.statement("entries/weigh"), names)
        is_small = self._size is None or whole <= self._size
        return _beyond(entries, self._max_entries), 0 if is_small else _beyond(size, self._size)


def _beyond(measured: int, limit: int | None) -> int:
    if limit is None or measured <= limit:
        return 0
    return measured - int(limit * (1 - _ROOM))
