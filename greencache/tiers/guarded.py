"""The one place where an outage of a tier becomes an absence and an event."""

import functools
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from greencache.clock import Clock
from greencache.entry import Entry, Stamps, State, judge
from greencache.errors import ServerReplyError, TierUnavailableError
from greencache.events import Event, EventKind, Recorder
from greencache.keys import Pattern
from greencache.stats import TierCounters
from greencache.tiers.base import (
    Identified,
    Installable,
    Lease,
    Remembering,
    StampSeed,
    StampStore,
    Tier,
    TierHealth,
    TierUsage,
)
from greencache.tiers.pending import Pending, PendingDrops
from greencache.tiers.replayer import Replayer
from greencache.typing import CacheTier, Key, Seconds

__all__ = ["GuardedTier"]

T = TypeVar("T")


class GuardedTier:
    """A tier that never raises an outage: a read finds nothing, a drop waits until the tier is back.

    What is queued is replayed before the tier is read again, so a tier that was away cannot bring back
    what was dropped meanwhile.

    Args:
        tier: The tier itself.
        clock: Where the time comes from.
        recorder: Is told when the tier goes and comes.
        is_current: Whether the stamps of an entry are all current; an entry with others is absent.
        stamp: Returns the stamps for entries of a tier that keeps none itself, such as a view.
        collapse: Returns the drops that cover any others in this tier, for when too many wait.
        on_replayed: Is called with what was replayed, to announce it.
        capacity: How many drops may wait one by one.
    """

    def __init__(
        self,
        tier: Tier,
        *,
        clock: Clock,
        recorder: Recorder,
        is_current: Callable[[Stamps], bool],
        stamp: Callable[[], Stamps],
        collapse: Callable[[], Pending],
        on_replayed: Callable[[Pending], None],
        capacity: int = 10_000,
    ) -> None:
        self.tier = tier
        self.name: CacheTier = tier.name
        self.writable: bool = tier.writable
        self.ttl: Seconds | None = tier.ttl
        self.counters: TierCounters = tier.counters
        self._clock = clock
        self._recorder = recorder
        self._is_current = is_current
        self._stamp = stamp
        self._on_replayed = on_replayed
        self._store = tier if isinstance(tier, StampStore) else None
        self._pending = PendingDrops(capacity, collapse)
        self._replayer = Replayer(self.replay)
        self.is_up = True
        """Whether the last call was answered."""

    # -- reading ---------------------------------------------------------------------------------------

    def get_many(self, keys: list[Key]) -> tuple[dict[Key, Entry], dict[Key, Entry]]:
        """Return the entries to be served, and the stale ones; both empty during an outage."""
        started = self._clock.now()
        fresh, stale = self.look(keys)
        elapsed = self._clock.now() - started
        counters = self.counters
        counters.seconds += elapsed
        counters.hits += len(fresh)
        counters.misses += len(keys) - len(fresh)
        counters.stale += len(stale)
        return fresh, stale

    def look(self, keys: list[Key]) -> tuple[dict[Key, Entry], dict[Key, Entry]]:
        """Do the same as `get_many`, uncounted: for a second look within one read."""
        # Taken before the read: what the read finds is at least as new as these stamps.
        stamps = () if self.writable else self._stamp()
        found = self._ready(lambda: self.tier.get_many(keys)) or {}
        now = self._clock.now()
        fresh, stale = {}, {}
        verdicts: dict[Stamps, bool] = {}
        for key, entry in found.items():
            if not self.writable:
                entry.stamps = stamps
            else:
                # Entries of a batch mostly carry the same stamps; all are judged as of one moment anyway.
                is_current = verdicts.get(entry.stamps)
                if is_current is None:
                    is_current = verdicts[entry.stamps] = self._is_current(entry.stamps)
                if not is_current:
                    continue
            state = judge(entry, now)
            if state <= State.DUE:
                fresh[key] = entry
            elif state is State.STALE:
                stale[key] = entry
        return fresh, stale

    def reserve_many(self, keys: Iterable[Key]) -> dict[Key, Lease] | None:
        """Return leases, or `None` during an outage: then nobody else was granted them either."""
        return self._ready(lambda: self.tier.reserve_many(keys))

    # -- writing ---------------------------------------------------------------------------------------

    def fill_many(self, entries: Mapping[Key, Entry], leases: Mapping[Key, Lease]) -> set[Key]:
        """Store entries whose lease is still good; none during an outage."""
        return self._ready(lambda: self.tier.fill_many(entries, leases)) or set()

    def release_many(self, leases: Mapping[Key, Lease]) -> None:
        """Give up leases; during an outage they end by themselves."""
        self._ready(lambda: self.tier.release_many(leases))

    def put_many(self, entries: Mapping[Key, Entry]) -> set[Key] | None:
        """Store entries and return the keys stored; during an outage queue their drop, return `None`."""
        stored = self._ready(lambda: self.tier.put_many(entries))
        if stored is None:
            self.queue(Pending(keys=entries))
        return stored

    def drop_many(self, keys: list[Key]) -> int | None:
        """Remove entries and return how many; during an outage queue the drop, return `None`."""
        return self._drop(lambda: self.tier.drop_many(keys), Pending(keys=keys))

    def drop_matching(self, pattern: Pattern) -> int | None:
        """Remove what matches and return how many; during an outage queue the drop, return `None`."""
        return self._drop(lambda: self.tier.drop_matching(pattern), Pending(patterns=[pattern]))

    # -- stamps ----------------------------------------------------------------------------------------

    def read_stamps(self, tags: Iterable[str], seed: StampSeed | None = None) -> dict[str, str] | None:
        """Return the current stamps, or `None` during an outage."""
        store = self._stamp_store()
        return self._ready(lambda: store.read_stamps(tags, seed))

    def replace_stamps(self, stamps: Mapping[str, str]) -> int | None:
        """Make stamps current and return 0; during an outage queue that, return `None`."""
        store = self._stamp_store()

        def replace() -> int:
            store.replace_stamps(stamps)
            return 0

        return self._drop(replace, Pending(stamps=stamps))

    def _stamp_store(self) -> StampStore:
        assert self._store is not None  # noqa: S101 -- the stack makes only such a tier its authority
        return self._store

    # -- the rest --------------------------------------------------------------------------------------

    def queue(self, pending: Pending) -> tuple[str, ...]:
        """Let drops be made, and announced, before the tier is read again; return all that wait."""
        self._pending.add(pending)
        self._replayer.wake()
        return self.waiting

    def recall(self) -> bytes | None:
        """Return the position on the bus that the tier remembers; `None` during an outage too."""
        tier = self.tier
        return self._ready(tier.recall) if isinstance(tier, Remembering) else None

    def remember(self, position: bytes) -> None:
        """Remember a position on the bus, unless drops that came before it still wait for the tier."""
        tier = self.tier
        if isinstance(tier, Remembering):
            self._ready(lambda: tier.remember(position))

    def install(self) -> bool:
        """Make what the tier needs on its server, and return whether it has what it needs.

        Raises:
            ConfigurationError: If the server refuses what was described.
        """
        tier = self.tier

        def install() -> bool:
            if isinstance(tier, Installable):
                tier.install()
            return True

        return self._guard(install) is True

    def identity(self) -> str:
        """Return what no other server is called; empty if that cannot be told."""
        return self.tier.identity() if isinstance(self.tier, Identified) else ""

    def check(self) -> TierHealth:
        """Ask the tier how it is doing."""
        return self.tier.check()

    def usage(self) -> TierUsage | None:
        """Return what the tier holds, or `None` during an outage."""
        return self._guard(self.tier.usage)

    def close(self) -> None:
        """Give back what the tier holds on to, after a last attempt to tell it what it has missed."""
        self._replayer.close()
        if not self.replay():
            detail = {"lost": self.waiting[:10], "count": len(self.waiting)}
            self._recorder.record(Event(EventKind.INVALIDATION_LOST, self.name, detail=detail))
        self.tier.close()

    @property
    def waiting(self) -> tuple[str, ...]:
        """The drops that wait for the tier, as text."""
        return self._pending.describe()

    def replay(self) -> bool:
        """Tell the tier what it has missed, and return whether it may be used."""
        while self._pending:
            pending = self._pending.begin()
            if pending is None:
                # Another thread replays; until it is done the tier may hold what was dropped.
                return False
            is_told = False
            try:
                is_told = self._guard(functools.partial(self._tell, pending)) is not None
            finally:
                self._pending.end(pending if is_told else None)
            if not is_told:
                return False
        return True

    def _tell(self, pending: Pending) -> bool:
        # Announced before it is taken off the queue: an announcement that fails is tried again too.
        if pending.stamps:
            # New ones, not those that this process has used meanwhile: others may have replaced them since,
            # and what was stored under them must not become current again.
            self._stamp_store().replace_stamps({tag: secrets.token_hex(8) for tag in pending.stamps})
        if pending.keys:
            self.tier.drop_many(pending.keys)
        for pattern in pending.patterns:
            self.tier.drop_matching(pattern)
        self._on_replayed(pending)
        detail = {"count": len(pending.queued)}
        self._recorder.record(Event(EventKind.INVALIDATION_REPLAYED, self.name, detail=detail))
        return True

    def _drop(self, drop: Callable[[], int], pending: Pending) -> int | None:
        dropped = self._ready(drop)
        if dropped is None:
            # A reader that asks between the failure and this line still gets nothing: the tier is down,
            # or it came back this instant, and then the drop is replayed before the next read of ours.
            self.queue(pending)
        return dropped

    def _ready(self, call: Callable[[], T]) -> T | None:
        if self._pending and not self.replay():
            return None
        return self._guard(call)

    def _guard(self, call: Callable[[], T]) -> T | None:
        try:
            answer = call()
        except (TierUnavailableError, ServerReplyError) as error:
            self.counters.errors += 1
            if self.is_up and getattr(error, "is_outage", False):
                self.is_up = False
                self._recorder.record(Event(EventKind.TIER_DOWN, self.name, detail={"reason": str(error)}))
            return None
        if not self.is_up:
            self.is_up = True
            self._recorder.record(Event(EventKind.TIER_UP, self.name))
        return answer
