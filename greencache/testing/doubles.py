"""Doubles of servers, in memory, for tests that must own every step."""

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence

from greencache.clock import Clock
from greencache.entry import Entry, State, judge
from greencache.keys import Pattern
from greencache.stats import TierCounters
from greencache.testing.clock import FakeClock
from greencache.testing.redis_double import Held, RedisDouble
from greencache.tiers.base import LEASE_TTL, Lease, StampSeed, Status, TierHealth, TierUsage
from greencache.tiers.inspection import HeldLease, Inspection
from greencache.tiers.sizing import estimate_size
from greencache.typing import CacheTier, Key, Seconds

__all__ = ["DoubleRedisTier", "RedisDouble"]


class DoubleRedisTier:
    """A tier like `RedisTier` over a server in memory: as atomic as the server's commands, and not more.

    Args:
        server: Shared by all tiers that are to use one server.
        name: Which tier it is.
        namespace: What keeps its keys apart from others in the same server.
        ttl: Seconds that it keeps an entry when no ttl was given; `None` for ever.
        lease_ttl: Seconds after which a lease ends by itself.
        max_size: Bytes that the value of an entry may take.
        clock: The clock that entry times and leases are in.
    """

    writable = True

    def __init__(
        self,
        server: RedisDouble | None = None,
        *,
        name: CacheTier = CacheTier.L3,
        namespace: str = "default",
        ttl: Seconds | None = 3600.0,
        lease_ttl: Seconds = LEASE_TTL,
        max_size: int = 1_000_000,
        clock: Clock | None = None,
    ) -> None:
        self.server = server or RedisDouble()
        self.name = name
        self.ttl = ttl
        self.counters = TierCounters()
        self._namespace = namespace
        self.lease_ttl = lease_ttl
        self._max_size = max_size
        self._clock = clock or FakeClock()

    # -- reading ---------------------------------------------------------------------------------------

    def get_many(self, keys: Iterable[Key]) -> dict[Key, Entry]:
        """Return copies of what is there, stale entries included."""
        self.server.require()
        return self._present(list(keys))

    def reserve_many(self, keys: Iterable[Key]) -> dict[Key, Lease]:
        """Return leases on the keys that nobody else has a lease on."""
        server, now = self.server, self._clock.now()
        server.require()
        granted: dict[Key, Lease] = {}
        for key in dict.fromkeys(keys):
            token = secrets.token_hex(12)
            with server.lock:
                held = server.leases.get((self._namespace, key))
                if held is None or held.ends_at <= now:
                    server.leases[self._namespace, key] = Held(token, now + self.lease_ttl)
                    server.changes += 1
                    granted[key] = token
        return granted

    # -- writing ---------------------------------------------------------------------------------------

    def fill_many(self, entries: Mapping[Key, Entry], leases: Mapping[Key, Lease]) -> set[Key]:
        """Store entries whose lease is still good, and return the keys stored."""
        self.server.require()
        leased = {key: entry for key, entry in entries.items() if key in leases}
        fitting = self._fitting(leased)
        stored = {key for key in fitting if self._fill(key, fitting[key], leases[key])}
        self.counters.fills += len(stored)
        self.counters.refused_fills += len(fitting) - len(stored)
        self.release_many({key: leases[key] for key in leased if key not in fitting})
        return stored

    def release_many(self, leases: Mapping[Key, Lease]) -> None:
        """Give up leases; one that is somebody else's by now stays."""
        self.server.require()
        for key, token in leases.items():
            with self.server.lock:
                if self._is_held(key, token):
                    del self.server.leases[self._namespace, key]
                    self.server.changes += 1

    def extend_many(self, leases: Mapping[Key, Lease]) -> set[Key]:
        """Let leases last for another full life, and return the keys whose lease is still good."""
        self.server.require()
        ends_at = self._clock.now() + self.lease_ttl
        with self.server.lock:
            good = {key for key, token in leases.items() if self._is_held(key, token)}
            self.server.leases.update({(self._namespace, key): Held(leases[key], ends_at) for key in good})
        return good

    def put_many(self, entries: Mapping[Key, Entry]) -> set[Key]:
        """Store entries whatever is there, void all leases on their keys, and return the keys stored."""
        self.server.require()
        fitting = self._fitting(entries)
        too_large = [key for key in entries if key not in fitting]
        if too_large:
            self._remove(too_large)
        for key, entry in fitting.items():
            with self.server.lock:
                self._store(key, entry)
                self.server.leases.pop((self._namespace, key), None)
        self.counters.puts += len(fitting)
        return set(fitting)

    def drop_many(self, keys: Iterable[Key]) -> int:
        """Remove entries, void all leases on their keys, and return how many entries there were."""
        self.server.require()
        removed = self._remove(list(dict.fromkeys(keys)))
        self.counters.drops += removed
        return removed

    def drop_matching(self, pattern: Pattern) -> int:
        """Remove the entries whose keys match, void leases likewise, and return how many entries."""
        self.server.require()
        self._unlink_leases(self._matching(self.server.leases, pattern))
        self.server.between_commands()
        removed = self._remove(self._matching(self.server.values, pattern))
        self.counters.drops += removed
        return removed

    # -- stamps ----------------------------------------------------------------------------------------

    def read_stamps(self, tags: Iterable[str], seed: StampSeed | None = None) -> dict[str, str]:
        """Return the current stamp of each tag; a missing one is created, once for all processes."""
        self.server.require()
        wanted = list(dict.fromkeys(tags))
        found = self._find_stamps(wanted)
        missing = [tag for tag in wanted if tag not in found]
        if not missing:
            return found
        seeds = seed(missing) if seed else {}
        self.server.between_commands()
        with self.server.lock:
            for tag in missing:
                stamp = seeds.get(tag) or secrets.token_hex(12)
                self.server.stamps.setdefault((self._namespace, tag), stamp)
            self.server.changes += 1
        self.server.between_commands()
        return found | self._find_stamps(missing)

    def replace_stamps(self, stamps: Mapping[str, str]) -> None:
        """Make these the current stamps of their tags."""
        self.server.require()
        for number, (tag, stamp) in enumerate(stamps.items()):
            if number:
                self.server.between_commands()
            with self.server.lock:
                self.server.stamps[self._namespace, tag] = stamp
                self.server.changes += 1

    def find_stamps(self, tags: Iterable[str]) -> dict[str, str]:
        """Return the current stamps of the tags that have one, and create none."""
        self.server.require()
        return self._find_stamps(list(dict.fromkeys(tags)))

    # -- for tools -------------------------------------------------------------------------------------

    def scan_keys(self, pattern: Pattern) -> Iterator[Sequence[Key]]:
        """Yield the keys of entries that match, all at once."""
        self.server.require()
        yield list(self._present(self._matching(self.server.values, pattern)))

    def inspect_many(self, keys: Iterable[Key]) -> dict[Key, Inspection]:
        """Return what is there of each key."""
        self.server.require()
        wanted = list(dict.fromkeys(keys))
        present = self._present(wanted)
        return {
            key: Inspection(
                entry=(entry := present.get(key)),
                size=None if entry is None else estimate_size(entry.kept),
                lease=self._held_lease(key),
            )
            for key in wanted
        }

    # -- the rest --------------------------------------------------------------------------------------

    def identity(self) -> str:
        """Return the server's name."""
        self.server.require()
        return self.server.name

    def check(self) -> TierHealth:
        """Return whether the server is meant to be up."""
        if self.server.is_down:
            return TierHealth(status=Status.DOWN, error=f"{self.server.name} is down")
        return TierHealth(status=Status.UP, latency_ms=0.0)

    def usage(self) -> TierUsage:
        """Return how many entries of this namespace there are, and about how many bytes they take."""
        self.server.require()
        own = [entry for (namespace, _), entry in self.server.values.items() if namespace == self._namespace]
        return TierUsage(len(own), sum(estimate_size(entry.kept) for entry in own))

    def close(self) -> None:
        """Do nothing: the server belongs to the test."""

    # -- commands, each atomic ---------------------------------------------------------------------------

    def _find_stamps(self, tags: list[str]) -> dict[str, str]:
        stamps = self.server.stamps
        with self.server.lock:
            return {tag: stamps[self._namespace, tag] for tag in tags if (self._namespace, tag) in stamps}

    def _fill(self, key: Key, entry: Entry, token: Lease) -> bool:
        with self.server.lock:
            if not self._is_held(key, token):
                return False
            self._store(key, entry)
            del self.server.leases[self._namespace, key]
            return True

    def _unlink_leases(self, keys: list[Key]) -> None:
        with self.server.lock:
            self.server.changes += 1
            for key in keys:
                self.server.leases.pop((self._namespace, key), None)

    def _remove(self, keys: list[Key]) -> int:
        removed = 0
        for number, key in enumerate(keys):
            if number:
                self.server.between_commands()
            removed += self._drop(key)
        return removed

    def _drop(self, key: Key) -> bool:
        now, name = self._clock.now(), (self._namespace, key)
        with self.server.lock:
            self.server.changes += 1
            self.server.leases.pop(name, None)
            entry = self.server.values.pop(name, None)
        return entry is not None and judge(entry, now) is not State.GONE

    # -- under the lock, or of no consequence ------------------------------------------------------------

    def _is_held(self, key: Key, token: Lease) -> bool:
        held = self.server.leases.get((self._namespace, key))
        return held is not None and held.token == token and held.ends_at > self._clock.now()

    def _present(self, keys: list[Key]) -> dict[Key, Entry]:
        now = self._clock.now()
        with self.server.lock:
            held = {key: self.server.values.get((self._namespace, key)) for key in keys}
        return {
            key: _copy(entry)
            for key, entry in held.items()
            if entry is not None and judge(entry, now) is not State.GONE
        }

    def _held_lease(self, key: Key) -> HeldLease | None:
        held, now = self.server.leases.get((self._namespace, key)), self._clock.now()
        return (
            HeldLease.of_token(str(held.token), held.ends_at - now) if held and held.ends_at > now else None
        )

    def _store(self, key: Key, entry: Entry) -> None:
        self.server.values[self._namespace, key] = _copy(entry)
        self.server.changes += 1

    def _fitting(self, entries: Mapping[Key, Entry]) -> dict[Key, Entry]:
        fitting = {k: entry for k, entry in entries.items() if estimate_size(entry.kept) <= self._max_size}
        self.counters.refused_sizes += len(entries) - len(fitting)
        return fitting

    def _matching(self, names: Iterable[tuple[str, Key]], pattern: Pattern) -> list[Key]:
        with self.server.lock:
            return [key for namespace, key in names if namespace == self._namespace and pattern.matches(key)]


def _copy(entry: Entry) -> Entry:
    """Return another entry like it, as a codec would; values are shared, so let them be immutable."""
    return Entry(
        entry.plain,
        entry.fresh_until,
        entry.stale_until,
        due_at=entry.due_at,
        created=entry.created,
        stamps=entry.stamps,
        tier=entry.tier,
        cost=entry.cost,
    )
