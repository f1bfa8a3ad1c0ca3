"""Entries in a table of PostgreSQL, with a lease in each row.

Every method is one statement for each thousand keys, and may be sent again when its connection got lost; the
first may run later still. Beside each statement, in `backends/sql/`, it is said who else may act while it
runs. The server's clock alone says when a lease or an entry has ended.
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from greencache.backends.breaker import Breaker
from greencache.backends.postgres import PostgresManager, Row
from greencache.backends.postgres_changes import Changes
from greencache.backends.postgres_table import set_unlogged
from greencache.clock import Clock
from greencache.entry import Entry, State, judge, remaining
from greencache.keys import Pattern, restore_text, storage_text
from greencache.options import check_duration
from greencache.stats import TierCounters
from greencache.tiers.base import LEASE_TTL, Lease, StampSeed, Status, TierHealth, TierUsage
from greencache.tiers.border import Border
from greencache.tiers.postgres_bulk import BulkPut
from greencache.tiers.postgres_inspection import PostgresInspection
from greencache.tiers.postgres_leases import PostgresLeases
from greencache.tiers.postgres_rows import CHUNK, rows_of
from greencache.tiers.postgres_upkeep import TableUpkeep
from greencache.typing import CacheTier, Key, Seconds
from greencache.upkeep import Chore

__all__ = ["PostgresTier"]

T = TypeVar("T")

_LONGEST: Seconds = 100 * 365 * 86_400
"""A longer life than this would overflow the server's own arithmetic some day."""


class PostgresTier:
    """A tier in a table of PostgreSQL: survives everything, and is the authority where there is no Redis.

    Args:
        manager: Talks to the server; closed together with the tier.
        border: Exchanges entries for bytes.
        namespace: What keeps this cache's keys apart from others in the same table.
        ttl: Seconds that it keeps an entry when no ttl was given; `None` for ever.
        lease_ttl: Seconds after which a lease ends by itself.
        clock: The clock that entry times are in.
        counters: Counts what happens here.
        name: Which tier it is.
        sweep_interval: Seconds from one deletion of what is gone, and of what is too much, to the next, for
            all processes together; `None` for when `sweep` is called.
        size: Bytes that keys and values may take as stored, roughly; `None` for as many as there are.
        max_entries: How many entries there may be, roughly; `None` for any number.
        unlogged: Whether the table, of all namespaces, is empty after a crash of the server, and cheaper to
            write; `None` to leave it as it is.
        changes: The record of what is dropped, written before it is dropped here, in the deepest tier.
    """

    writable = True

    def __init__(
        self,
        manager: PostgresManager,
        border: Border,
        *,
        namespace: str,
        ttl: Seconds | None = None,
        lease_ttl: Seconds = LEASE_TTL,
        clock: Clock,
        counters: TierCounters,
        name: CacheTier = CacheTier.L4,
        sweep_interval: Seconds | None = None,
        size: int | None = None,
        max_entries: int | None = None,
        unlogged: bool | None = None,
        changes: Changes | None = None,
    ) -> None:
        self.name = name
        self._record = changes.record if changes else lambda **_: None
        self.ttl = ttl
        self.counters = counters
        self._manager = manager
        self.place = f"PostgreSQL {manager.where}"
        self._border = border
        self._namespace = namespace
        self.lease_ttl = check_duration("lease_ttl", lease_ttl)
        self._rows = rows_of(manager, namespace)
        self._leases = PostgresLeases(manager, namespace, self.lease_ttl)
        self._clock = clock
        self._unlogged = unlogged
        self._bulk = BulkPut(manager, namespace)
        self._upkeep = TableUpkeep(
            manager,
            namespace,
            interval=60.0 if sweep_interval is None else sweep_interval,
            size=size,
            max_entries=max_entries,
            counters=counters,
        )
        self.chores: tuple[Chore, ...] = () if sweep_interval is None else (self._upkeep,)
        inspection = PostgresInspection(manager, namespace, border)
        self.scan_keys, self.inspect_many = inspection.scan_keys, inspection.inspect_many
        self.find_stamps = inspection.find_stamps

    def install(self) -> None:
        """Create the schema, unless it is there.

        Raises:
            ConfigurationError: The user may not change whether the table survives a crash.
            TierUnavailableError: The server did not answer in time.
        """
        self._manager.ensure_schema()
        if self._unlogged is not None:
            set_unlogged(self._manager, is_unlogged=self._unlogged)

    # -- entries ---------------------------------------------------------------------------------------

    def get_many(self, keys: Iterable[Key]) -> dict[Key, Entry]:
        """Return what is there, stale entries included, entries that are gone left out."""
        rows = self._rows("entries/get", keys=_stored(keys))
        entries = self._border.decode((restore_text(stored), data) for stored, data in rows)
        # The row's own end is by the server's clock; the entry's, by the wall clock of who wrote it.
        now = self._clock.now()
        return {key: entry for key, entry in entries.items() if judge(entry, now) is not State.GONE}

    def put_many(self, entries: Mapping[Key, Entry]) -> set[Key]:
        """Store entries whatever is there, void all leases on their keys, and return the keys stored.

        Raises:
            EncodeError: If one cannot be encoded; nothing was stored then.
        """
        encoded = self._border.encode_put(entries)
        self._record(keys=entries)
        self._remove([key for key in entries if key not in encoded])
        keys, values = _stored(encoded), list(encoded.values())
        seconds = [self._lifetime(entries[key]) for key in encoded]
        rows = self._bulk.put(keys, values, seconds)
        if rows is None:
            rows = self._rows("entries/put", keys=keys, values=values, seconds=seconds)
        self.counters.puts += len(rows)
        return _restored(rows)

    def drop_many(self, keys: Iterable[Key]) -> int:
        """Remove entries, void all leases on their keys, and return how many entries there were."""
        wanted = dict.fromkeys(keys)
        self._record(keys=wanted)
        return self._drop(wanted)

    def drop_matching(self, pattern: Pattern) -> int:
        """Remove the entries whose keys match, void leases likewise, and return how many entries.

        A walk in key order. What is not found because it came behind the walk was reserved after the walk
        began, so its load began after it too, and may be stored.
        """
        if pattern.literal is not None:
            return self.drop_many([pattern.literal])
        self._record(patterns=[pattern.text])
        # LIKE finds more than what matches.
        return sum(self._drop(filter(pattern.matches, page)) for page in self._walk(pattern.like()))

    # -- leases ----------------------------------------------------------------------------------------

    def reserve_many(self, keys: Iterable[Key]) -> dict[Key, Lease]:
        """Return leases on the keys that nobody else has a lease on."""
        return self._leases.reserve(keys)

    def fill_many(self, entries: Mapping[Key, Entry], leases: Mapping[Key, Lease]) -> set[Key]:
        """Store entries whose lease is still good, which uses it up, and return the keys stored.

        A fill that runs twice, or late, is refused where it has run before, or its lease was voided.
        """
        leased = {key: entry for key, entry in entries.items() if key in leases}
        encoded = self._border.encode_fill(leased.items())
        rows = self._rows(
            "entries/fill",
            keys=_stored(encoded),
            values=list(encoded.values()),
            leases=[leases[key] for key in encoded],
            seconds=[self._lifetime(entries[key]) for key in encoded],
        )
        self.counters.fills += len(rows)
        self.counters.refused_fills += len(encoded) - len(rows)
        # Others need not wait for what this tier will never hold.
        self.release_many({key: leases[key] for key in leased if key not in encoded})
        return _restored(rows)

    def release_many(self, leases: Mapping[Key, Lease]) -> None:
        """Give up leases that will not be used; one that is somebody else's by now stays."""
        self._rows("entries/release", keys=_stored(leases), leases=list(leases.values()))

    def extend_many(self, leases: Mapping[Key, Lease]) -> set[Key]:
        """Let leases that are still good last for another full life, also late, and return their keys."""
        rows = self._rows(
            "entries/extend", self.lease_ttl, keys=_stored(leases), leases=list(leases.values())
        )
        return _restored(rows)

    # -- stamps ----------------------------------------------------------------------------------------

    def read_stamps(self, tags: Iterable[str], seed: StampSeed | None = None) -> dict[str, str]:
        """Return the current stamp of each tag; a missing one is created, once for all processes."""
        wanted = dict.fromkeys(tags)
        current = self._stamps("stamps/read", tags=_stored(wanted))
        missing = [tag for tag in wanted if tag not in current]
        seeds = seed(missing) if seed and missing else {}
        proposed = [seeds.get(tag) or secrets.token_hex(12) for tag in missing]
        return current | self._stamps("stamps/create", tags=_stored(missing), stamps=proposed)

    def replace_stamps(self, stamps: Mapping[str, str]) -> None:
        """Make these the current stamps of their tags."""
        self._record(tags=stamps)
        self._rows("stamps/replace", tags=_stored(stamps), stamps=list(stamps.values()))

    # -- the rest --------------------------------------------------------------------------------------

    def sweep(self, limit: int = 1_000) -> int:
        """Delete what has ended, in one batch, and return how many rows that were; fewer than `limit`: all.

        Args:
            limit: Rows at most. Rows in use by others are passed over, so many may sweep at once.
        """
        return self._upkeep.sweep_batch(limit)

    @property
    def breaker(self) -> Breaker:
        """The circuit breaker of the server, to be looked at."""
        return self._manager.breaker

    def check(self) -> TierHealth:
        """Ask the server how it is doing. Raises nothing: an outage is a finding."""
        health = self._manager.check()
        return TierHealth(
            status=Status.UP if health.up else Status.DOWN,
            latency_ms=health.latency_ms,
            error=health.error,
            detail=health.detail(),
        )

    def usage(self) -> TierUsage:
        """Return what the table holds of this namespace; costs a scan of it."""
        self._manager.ensure_schema()
        query = self._manager.statement("entries/usage")
        [(entries, size)] = self._manager.fetch(query, {"namespace": self._namespace})
        return TierUsage(entries, size)

    def close(self) -> None:
        """Give back the connections."""
        self._manager.close()

    def _drop(self, keys: Iterable[Key]) -> int:
        removed = self._remove(keys)
        self.counters.drops += removed
        return removed

    def _remove(self, keys: Iterable[Key]) -> int:
        return sum(count for (count,) in self._rows("entries/drop", keys=_stored(dict.fromkeys(keys))))

    def _stamps(self, name: str, **columns: Sequence[str]) -> dict[str, str]:
        rows = self._rows(name, 0.0, **columns)
        return {restore_text(tag): stamp for tag, stamp in rows}

    def _walk(self, like: str) -> Iterator[list[Key]]:
        """Yield the keys of all rows, lone leases included, that a LIKE pattern finds."""
        self._manager.ensure_schema()
        query = self._manager.statement("entries/match")
        after = ""
        while True:
            bounds = {"namespace": self._namespace, "like": like, "after": after, "limit": CHUNK}
            page = [stored for (stored,) in self._manager.fetch(query, bounds)]
            if not page:
                return
            yield [restore_text(stored) for stored in page]
            after = page[-1]

    def _lifetime(self, entry: Entry) -> Seconds | None:
        left = remaining(entry.stale_until, self._clock.now())
        return None if left is None or left > _LONGEST else left


def _stored(texts: Iterable[str]) -> list[str]:
    return [storage_text(text) for text in texts]


def _restored(rows: Iterable[Row]) -> set[Key]:
    return {restore_text(stored) for (stored,) in rows}
