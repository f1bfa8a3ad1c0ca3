"""Entries in a Redis server, with a lease beside each value.

Redis sees commands more than once, or long after their caller has given up: a reply gets lost, and the
command is sent again. Each method says what such a command does then.
"""

import contextlib
import math
from collections.abc import Iterable, Mapping, Sequence

from greencache.backends.breaker import Breaker
from greencache.backends.redis import RedisManager
from greencache.backends.redis_names import RedisNames
from greencache.backends.scripts import load_script
from greencache.clock import Clock
from greencache.entry import Entry, remaining
from greencache.errors import ServerReplyError, TierUnavailableError
from greencache.keys import Pattern
from greencache.stats import TierCounters
from greencache.tiers.base import LEASE_TTL, LandedHandler, Lease, StampSeed
from greencache.tiers.border import Border
from greencache.tiers.owed import OwedLeases
from greencache.tiers.pace import SlowLooks
from greencache.tiers.partial import raise_for, without_outages
from greencache.tiers.redis_checks import RedisChecks
from greencache.tiers.redis_history import RedisHistory
from greencache.tiers.redis_identity import RedisIdentity
from greencache.tiers.redis_inspection import RedisInspection
from greencache.tiers.redis_leases import RedisLeases
from greencache.tiers.redis_reach import RedisReach
from greencache.tiers.redis_reading import RedisReader
from greencache.tiers.redis_stamps import RedisStamps
from greencache.tiers.redis_steps import GIVEN_UP, RedisSteps
from greencache.typing import CacheTier, Key, Seconds

__all__ = ["RedisTier"]

_IS_AWAITED = 2
"""What the scripts that end a lease answer when somebody waits for the key."""
_PATIENCE: Seconds = 0.5
"""For giving up leases on behalf of others."""
_LONGEST = 100 * 365 * 86_400_000
"""Milliseconds; a longer life than this would overflow the server's own arithmetic some day."""


class RedisTier:
    """A tier in Redis: L2 on this host, or L3 shared by all.

    An entry is removed by the server when it is gone. That frees memory and decides nothing: how old an
    entry is, is judged by its own times when it is read, so a server whose clock jumps makes entries vanish
    early or linger, but never stale ones fresh.

    Args:
        name: Which tier it is.
        manager: Talks to the server; closed together with the tier.
        border: Exchanges entries for bytes.
        namespace: What keeps this cache's keys apart from others in the same server.
        ttl: Seconds that it keeps an entry when no ttl was given; `None` for ever.
        lease_ttl: Seconds after which a lease ends by itself.
        clock: The clock that entry times are in.
        counters: Counts what happens here.
        slow_looks: When it counts as slow; never, unless said. Reads pass by a slow L2 if L3 is quicker.
    """

    writable = True

    def __init__(
        self,
        name: CacheTier,
        manager: RedisManager,
        border: Border,
        *,
        namespace: str,
        ttl: Seconds | None,
        lease_ttl: Seconds = LEASE_TTL,
        clock: Clock,
        counters: TierCounters,
        slow_looks: SlowLooks | None = None,
    ) -> None:
        self.name = name
        self.slow_looks = slow_looks
        self.ttl = ttl
        self.counters = counters
        self._manager = manager
        self._border = border
        self._names = RedisNames(namespace)
        self._reader = RedisReader(manager, counters)
        self._stamps = RedisStamps(manager, self._names, self._reader.read)
        self.find_stamps = self._stamps.find
        inspection = RedisInspection(manager, self._names, border)
        self._scan_names = inspection.scan_names
        self.scan_keys, self.inspect_many = inspection.scan_keys, inspection.inspect_many
        self.usage = inspection.usage
        checks = RedisChecks(manager)
        self.check, self.probe = checks.check, checks.probe
        history = RedisHistory(manager, self._names, clock)
        self.append_history, self.read_history = history.append, history.read
        self.place = f"Redis {manager.address}"
        self.watch, self.is_sharded = manager.watch, manager.is_sharded
        reach = RedisReach(manager, self._names)
        self.condition, self.unreached = reach.condition, reach.unreached
        self.lease_ttl = lease_ttl
        self.on_landed: LandedHandler | None = None
        self._lease_ms = max(1, math.ceil(lease_ttl * 1000))
        self._steps = RedisSteps(manager, self._lease_ms)
        self._owed = OwedLeases(clock, lease_ttl)
        self.owe = self._owed.add
        self._leases = RedisLeases(manager, self._names, self._lease_ms, self._owed)
        self._clock = clock
        self.identity = RedisIdentity(manager, clock).find
        self._fill = load_script("fill")
        self._put = load_script("put")
        self._drop = load_script("drop")
        self._release = load_script("release")
        self._extend = load_script("extend")
        self._remember = load_script("remember")

    def get_many(self, keys: Iterable[Key]) -> dict[Key, Entry]:
        """Return what is there, stale entries included; one plain GET when one key is asked for."""
        wanted = list(keys)
        names = self._names.values(wanted)
        replies = self._reader.read_apart(names) if self.is_sharded else self._reader.read(names)
        return self._entries_of(wanted, replies)

    def _entries_of(self, keys: Sequence[Key], replies: Sequence[bytes | None]) -> dict[Key, Entry]:
        now = self._clock.now()
        entries = self._border.decode(zip(keys, replies, strict=True))
        # Those that are not gone, as `judge` would say.
        return {key: entry for key, entry in entries.items() if now < entry.stale_until}

    def reserve_many(self, keys: Iterable[Key]) -> dict[Key, Lease]:
        """Return leases on the keys that nobody else has one on; what comes late: see `RedisLeases`."""
        self._settle()
        return self._leases.reserve(keys)

    def reserve_and_get(self, keys: Sequence[Key]) -> tuple[dict[Key, Lease], dict[Key, Entry]]:
        """Do so, and return what `get_many` would return after that, in one round trip."""
        self._settle()
        leases, replies = self._leases.reserve_and_read(keys)
        return leases, self._entries_of(keys, replies)

    def note_waiting(self, keys: Iterable[Key]) -> None:
        """Note that somebody waits for the keys: who lands one within `lease_ttl` tells its `on_landed`.

        A note that arrives twice is the same note; one that arrives late may wake nobody.
        """
        self._manager.execute_many(
            [(b"SET", self._names.waiters(key), b"1", b"PX", self._lease_ms) for key in keys]
        )

    def fill_many(self, entries: Mapping[Key, Entry], leases: Mapping[Key, Lease]) -> set[Key]:
        """Store entries whose lease is still good, in one round trip, and return the keys stored.

        A fill that arrives twice is refused the second time, because the first has used its lease up: the
        entry is there, or was dropped since, and the caller is told less than was done. One that arrives
        late stores only if nothing has happened to its key, so it does what it would have done in time.
        """
        leased = {key: entry for key, entry in entries.items() if key in leases}
        encoded = self._border.encode_fill(leased.items())
        calls = [
            (
                [*self._names.pair(key), self._names.waiters(key)],
                [leases[key], data, self._lifetime(leased[key])],
            )
            for key, data in encoded.items()
        ]
        with self._owed.unless_answered({key: leases[key] for key in leased}):
            replies = self._manager.run_script_many(self._fill, calls, partial=True, apart=self._steps.fill)
        self._tell_landed(encoded, replies)
        outcomes = dict(zip(encoded, without_outages(replies), strict=True))
        self._owed.add({key: leases[key] for key, reply in outcomes.items() if reply is None})
        stored = {key for key, reply in outcomes.items() if reply and reply != GIVEN_UP}
        self.counters.fills += len(stored)
        self.counters.refused_fills += len(encoded) - len(stored)
        # Others need not wait for what this tier will never hold.
        self.release_many({key: leases[key] for key in leased if outcomes.get(key, GIVEN_UP) == GIVEN_UP})
        return stored

    def release_many(self, leases: Mapping[Key, Lease]) -> None:
        """Give up leases that will not be used; one that is somebody else's by now, or then, stays."""
        self._release_within(None, leases)

    def _release_within(self, deadline: Seconds | None, leases: Mapping[Key, Lease]) -> None:
        calls = [([self._names.lease(key), self._names.waiters(key)], [t]) for key, t in leases.items()]
        with self._owed.unless_answered(leases):
            replies = self._manager.run_script_many(
                self._release, calls, deadline=deadline, partial=True, apart=self._steps.release
            )
        outcomes = zip(leases, without_outages(replies), strict=True)
        self._owed.add({key: leases[key] for key, reply in outcomes if reply is None})
        self._tell_landed(leases, replies)

    def extend_many(self, leases: Mapping[Key, Lease]) -> set[Key]:
        """Let leases that are still good last for another full life, also late, and return their keys."""
        replies = self._manager.run_script_many(
            self._extend,
            [([self._names.lease(key)], [token, self._lease_ms]) for key, token in leases.items()],
            partial=True,
        )
        return {key for key, reply in zip(leases, without_outages(replies), strict=True) if reply}

    def put_many(self, entries: Mapping[Key, Entry]) -> set[Key]:
        """Store entries whatever is there, void all leases on their keys, and return the keys stored.

        Raises:
            EncodeError: If one cannot be encoded; nothing was sent then.
        """
        encoded = self._border.encode_put(entries)
        self._remove([key for key in entries if key not in encoded])
        replies = self._manager.run_script_many(
            self._put,
            [(self._names.pair(key), [data, self._lifetime(entries[key])]) for key, data in encoded.items()],
            # Repeated, it could overwrite what others have stored or dropped since its first arrival.
            repeatable=False,
            partial=True,
            apart=self._steps.put,
        )
        raise_for(encoded, replies)
        self.counters.puts += len(encoded)
        return set(encoded)

    def drop_many(self, keys: Iterable[Key]) -> int:
        """Remove entries, void all leases on their keys, and return how many entries there were."""
        wanted = list(dict.fromkeys(keys))
        replies = self._run_drop(wanted, partial=True)
        raise_for(wanted, replies)
        removed: int = sum(replies)
        self.counters.drops += removed
        return removed

    def drop_matching(self, pattern: Pattern) -> int:
        """Remove the entries whose keys match, void leases likewise, and return how many entries.

        Two scans, leases first. In a single one, a fill between its steps could turn a lease that is not
        yet scanned into a value where the scan has already been. A lease that was there when the first
        scan began is void, or used and so a value, when the second one begins; and SCAN returns all that
        is there from its beginning to its end. A lease taken between the two is voided with its value, so
        nobody can take an old value for one that was read after the drop.
        """
        if pattern.literal is not None:
            return self.drop_many([pattern.literal])
        for names in self._scan_names(self._names.leases_like(pattern), pattern):
            self._manager.execute(b"UNLINK", *names)
        removed = sum(self._remove(keys) for keys in self.scan_keys(pattern))
        self.counters.drops += removed
        return removed

    def await_replica(self, timeout: Seconds) -> bool:
        """Return whether a replica has all that was written so far, after waiting that long at most."""
        return self._manager.await_replica(self._names.durable, timeout)

    def recall(self) -> bytes | None:
        """Return the position on the bus up to which this tier was brought; `None` if it is not known."""
        return self._reader.read_one(self._names.position)

    def remember(self, position: bytes, known: bytes | None) -> None:
        """Keep a position on the bus, if the one that is kept is still what was recalled last."""
        self._manager.run_script(self._remember, [self._names.position], [position, known or b""])

    def read_stamps(self, tags: Iterable[str], seed: StampSeed | None = None) -> dict[str, str]:
        """Return the current stamp of each tag; a missing one is created, once for all processes."""
        return self._stamps.read(tags, seed)

    def replace_stamps(self, stamps: Mapping[str, str]) -> None:
        """Make these the current stamps of their tags."""
        self._stamps.replace(stamps)

    @property
    def breaker(self) -> Breaker:
        """The circuit breaker of the server, to be looked at."""
        return self._manager.breaker

    def close(self) -> None:
        """Give back the connections."""
        self._manager.close()

    def _settle(self) -> None:
        """Give up what could not be given up before, where the server answers again."""
        if self._owed:
            due = self._owed.take(lambda key: self._manager.is_answering(self._names.lease(key)))
            # Whether that succeeds is for others to find: the caller's own command tells how the server is.
            with contextlib.suppress(TierUnavailableError, ServerReplyError):
                self._release_within(_PATIENCE, due)

    def _remove(self, keys: Sequence[Key]) -> int:
        """Remove values, each in one step with its lease, and return how many values there were."""
        return sum(self._run_drop(keys))

    def _run_drop(self, keys: Sequence[Key], *, partial: bool = False) -> list[int]:
        calls = [(self._names.pair(key), ()) for key in keys]
        return self._manager.run_script_many(self._drop, calls, partial=partial, apart=self._steps.drop)

    def _tell_landed(self, keys: Iterable[Key], replies: Sequence[int]) -> None:
        landed = [key for key, reply in zip(keys, replies, strict=True) if reply == _IS_AWAITED]
        if landed and self.on_landed is not None:
            self.on_landed(landed)

    def _lifetime(self, entry: Entry) -> int:
        left = remaining(entry.stale_until, self._clock.now())
        return 0 if left is None else min(max(1, math.ceil(left * 1000)), _LONGEST)
