"""A tier whose outages are absences."""

import math
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from greencache.clock import Clock
from greencache.entry import Entry, Stamps
from greencache.events import Recorder
from greencache.keys import Pattern
from greencache.tiers.base import Landing, Lease, Leasing, StampSeed, StampStore, Status, Tier
from greencache.tiers.copying import Copying
from greencache.tiers.guard import Guard
from greencache.tiers.owed import Owing
from greencache.tiers.pending import Pending
from greencache.tiers.prompt import Prompt
from greencache.tiers.recent import Lineage, Replicated
from greencache.tiers.tokens import NOWHERE
from greencache.typing import Key, Seconds

if TYPE_CHECKING:
    from greencache.isolation import Keeper

__all__ = ["GuardedTier"]


class GuardedTier(Guard):
    """A tier that never raises an outage: a read finds nothing, a drop waits until the tier is back.

    What is queued is replayed before the tier is read again, so a tier that was away cannot bring back
    what was dropped meanwhile; nor can another server that takes the place of its own. Where only a node of
    several is away, what is queued for that is absent, and the rest is read and written as ever.

    Args:
        tier: The tier itself.
        clock: Where the time comes from.
        recorder: Is told when the tier goes and comes.
        current_among: Returns those stamps of entries that are all current; an entry with others is absent.
        stamp: Returns the stamps for entries of a tier that keeps none itself, such as a view.
        collapse: Returns the drops that cover any others in this tier, for when too many wait.
        on_replayed: Is called with what was replayed, to do it in nearer tiers and to announce it.
        failover_window: Seconds for which drops are remembered, to be replayed to another server.
        capacity: How many drops may wait one by one.
        lineage: Tells whether another server has what was told to its predecessor before that.
        keeper: Keeps those who read one entry from changing it for each other.
    """

    def __init__(
        self,
        tier: Tier,
        *,
        clock: Clock,
        recorder: Recorder,
        current_among: Callable[[AbstractSet[Stamps]], AbstractSet[Stamps]],
        stamp: Callable[[], Stamps],
        collapse: Callable[[], Pending],
        on_replayed: Callable[[Pending], None],
        failover_window: Seconds = 60.0,
        capacity: int = 10_000,
        lineage: Lineage | None = None,
        keeper: "Keeper | None" = None,
    ) -> None:
        super().__init__(
            tier,
            clock=clock,
            recorder=recorder,
            collapse=collapse,
            on_replayed=on_replayed,
            failover_window=failover_window,
            capacity=capacity,
            lineage=lineage,
        )
        self.writable: bool = tier.writable
        self.ttl: Seconds | None = tier.ttl
        self._clock = clock
        self._current_among = current_among
        self._stamp = stamp
        self._keeper = keeper
        self._store = tier if isinstance(tier, StampStore) else None
        self._copying = tier if isinstance(tier, Copying) else None
        self._owing = tier if isinstance(tier, Owing) else None
        self._prompt = tier if isinstance(tier, Prompt) and self._parts is None else None
        self.lease_ttl: Seconds = tier.lease_ttl if isinstance(tier, Leasing) else math.inf

    # -- reading ---------------------------------------------------------------------------------------

    def get_many(self, keys: list[Key]) -> tuple[dict[Key, Entry], dict[Key, Entry]]:
        """Return the entries to be served, and the stale ones; both empty during an outage."""
        started = self._clock.now()
        found = self._look(keys)
        elapsed = self._clock.now() - started
        self._note_look(None if found is None else elapsed, len(keys))
        fresh, stale = found or ({}, {})
        counters = self.counters
        counters.seconds += elapsed
        counters.hits += len(fresh)
        counters.misses += len(keys) - len(fresh)
        counters.stale += len(stale)
        return fresh, stale

    def look(self, keys: list[Key]) -> tuple[dict[Key, Entry], dict[Key, Entry]]:
        """Do the same as `get_many`, uncounted: for a second look within one read."""
        return self._look(keys) or ({}, {})

    def _look(self, keys: list[Key]) -> tuple[dict[Key, Entry], dict[Key, Entry]] | None:
        """Do so, but return `None` if the tier has not answered, or was not asked."""
        # Taken before the read: what the read finds is at least as new as these stamps.
        stamps = () if self.writable else self._stamp()
        tier, untouched = self.tier, self._pending.untouched
        found = self._ready(lambda: tier.get_many(keys), lambda: tier.get_many(untouched(keys)))
        return None if found is None else self.judged(found, stamps)

    def judged(
        self, found: Mapping[Key, Entry], stamps: Stamps = ()
    ) -> tuple[dict[Key, Entry], dict[Key, Entry]]:
        """Return, of what the tier itself has found, what `look` would return."""
        now = self._clock.now()
        fresh, stale = {}, {}
        # All at once: whoever must be asked about them is asked in one round trip, whatever they carry. Most
        # carry the same object, so that each is looked at once.
        carried = {id(entry.stamps): entry.stamps for entry in found.values()} if self.writable else {}
        current = self._current_among(frozenset(carried.values())) if carried else frozenset()
        outdated = {each for each, carries in carried.items() if carries not in current}
        for key, entry in found.items():
            if not self.writable:
                entry.stamps = stamps
            elif outdated and id(entry.stamps) in outdated:
                continue
            if self._keeper is not None:
                entry = self._keeper.adopt(entry)  # noqa: PLW2901 -- the same one, as readers get it
            # As `judge` would say.
            if now < entry.fresh_until:
                fresh[key] = entry
            elif now < entry.stale_until:
                stale[key] = entry
        return fresh, stale

    def copies(self, keys: list[Key]) -> dict[Key, Entry]:
        """Return the entries to be served that copies of the tier have, as far as they can be relied on.

        They may be stored in L1 and nowhere else; what is left out is to be looked for as ever.
        """
        tier = self._copying
        # Copies lack what waits for the tier, and what another server that was noticed meanwhile is told.
        if tier is None or self._pending:
            return {}
        changes = self._backlog.changes
        found = tier.read_copies(keys)
        fresh = self.judged(found)[0] if self._backlog.changes == changes else {}
        self.counters.hits += len(fresh)
        self.counters.replica_hits += len(fresh)
        return fresh

    def distrust_copies(self, keys: Iterable[Key] | None) -> None:
        """Note that others have changed keys, or `None` for any, before anybody here is told of it."""
        if self._copying is not None:
            self._copying.distrust_copies(keys)

    def reserve_many(self, keys: Iterable[Key]) -> dict[Key, Lease] | None:
        """Return leases, or `None` during an outage: then nobody else was granted them either."""
        # Not asked for again when another server was noticed: that one would refuse what it has just given.
        # Whatever the replay drops, it voids the lease on, and a lease of the former server is good nowhere.
        wanted = list(keys)

        def apart() -> dict[Key, Lease]:
            free = self._pending.untouched(wanted)
            # A key that a drop waits for can be leased to nobody, so whoever needs it loads at once.
            dropped = dict.fromkeys(set(wanted).difference(free), NOWHERE)
            return dropped | self.tier.reserve_many(free)

        return self._once(lambda: self.tier.reserve_many(wanted), apart)

    def reserve_and_get(
        self, keys: list[Key]
    ) -> tuple[dict[Key, Lease] | None, dict[Key, Entry] | None] | None:
        """Return what `reserve_many` returns, and what was there after that, for `judged`, in one round trip.

        Returns:
            `None` if it cannot be done so; nothing has been done then. No entries if it is to be looked for
            them again: another server has answered, perhaps before it was told what it lacks.
        """
        tier, changes = self._prompt, self._backlog.changes
        if tier is None or self._pending:
            return None
        answer = self._once(lambda: tier.reserve_and_get(keys))
        if answer is None:
            return None, None
        leases, found = answer
        is_same = self._backlog.changes == changes
        return leases, {key: found[key] for key in leases if key in found} if is_same else None

    def extend_many(self, leases: Mapping[Key, Lease]) -> set[Key] | None:
        """Let leases last for another full life, and return the keys whose lease is still good."""
        tier = self.tier
        return self._once(lambda: tier.extend_many(leases)) if isinstance(tier, Leasing) else None

    def note_waiting(self, keys: Iterable[Key]) -> None:
        """Note that somebody waits for keys, where whoever lands one can tell it; in an outage nobody can."""
        tier = self.tier
        if isinstance(tier, Landing):
            self._once(lambda: tier.note_waiting(keys))

    # -- writing ---------------------------------------------------------------------------------------

    def fill_many(self, entries: Mapping[Key, Entry], leases: Mapping[Key, Lease]) -> set[Key] | None:
        """Store entries whose lease is still good; none during an outage, and then return `None`."""
        is_asked = False

        def fill(due: Mapping[Key, Entry]) -> set[Key]:
            nonlocal is_asked
            is_asked = True
            return self.tier.fill_many(due, leases)

        def apart() -> set[Key]:
            return fill({key: entries[key] for key in self._pending.untouched(entries)})

        stored = self._once(lambda: fill(entries), apart)
        if not is_asked:
            # It cannot be asked, or others tell it right now what it has missed: who waits need not wait on.
            self.release_many({key: leases[key] for key in entries if key in leases})
        return stored

    def release_many(self, leases: Mapping[Key, Lease]) -> None:
        """Give up leases; during an outage they end by themselves, or when it is over."""

        def release() -> bool:
            self.tier.release_many(leases)
            return True

        # It takes nothing from anybody, so it need not wait for drops that others are making.
        apart = None if self.status is Status.DOWN else release
        if not self._once(release, apart, may_overtake=True) and self._owing is not None:
            self._owing.owe(leases)

    def put_many(self, entries: Mapping[Key, Entry]) -> set[Key] | None:
        """Store entries and return the keys stored; during an outage queue their drop, return `None`.

        A put during which another server was noticed leaves nothing: who knows which one has it.
        """
        nothing: set[Key] = set()
        return self._tell(lambda: self.tier.put_many(entries), Pending(keys=entries), otherwise=nothing)

    def drop_many(self, keys: list[Key], *, is_heard: bool = False) -> int | None:
        """Remove entries and return how many; during an outage queue the drop, return `None`.

        Args:
            keys: Whose entries.
            is_heard: Whether others have announced it, so that it need not be announced when it is replayed.
        """
        pending = Pending(keys=keys, is_heard=is_heard)
        return self._tell(lambda: self.tier.drop_many(keys), pending, otherwise=0)

    def drop_matching(self, pattern: Pattern, *, is_heard: bool = False) -> int | None:
        """Remove what matches and return how many, or `None`, as `drop_many` does."""
        pending = Pending(patterns=[pattern], is_heard=is_heard)
        return self._tell(lambda: self.tier.drop_matching(pattern), pending, otherwise=0)

    def await_replica(self, timeout: Seconds) -> bool:
        """Return whether all that was written is safe from a failover, waiting for that; not in an outage."""
        tier = self.tier
        if not isinstance(tier, Replicated):
            return True  # what a database has committed
        # If another server was noticed since, what was dropped is replayed to that one before it is asked.
        return self._ready(lambda: tier.await_replica(timeout)) is True

    # -- stamps ----------------------------------------------------------------------------------------

    def read_stamps(self, tags: Iterable[str], seed: StampSeed | None = None) -> dict[str, str] | None:
        """Return the current stamps, or `None` during an outage."""
        store = self._stamp_store()
        apart = None if self._pending.has_stamps else lambda: store.read_stamps(tags, seed)
        return self._ready(lambda: store.read_stamps(tags, seed), apart)

    def replace_stamps(self, stamps: Mapping[str, str]) -> int | None:
        """Make stamps current and return 0; during an outage queue that, return `None`."""
        store = self._stamp_store()

        def replace() -> int:
            store.replace_stamps(stamps)
            return 0

        return self._tell(replace, Pending(stamps=stamps), otherwise=0)

    def _stamp_store(self) -> StampStore:
        assert self._store is not None  # noqa: S101 -- the stack makes only such a tier its authority
        return self._store
