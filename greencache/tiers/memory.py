"""L1: this process's memory. Reads take no lock; writes take one, briefly."""

import itertools
import threading
from collections.abc import Callable, Iterable, Mapping

from greencache.clock import Clock, SystemClock
from greencache.entry import Entry, State, judge
from greencache.errors import ConfigurationError
from greencache.forks import after_fork_in_child
from greencache.keys import Pattern
from greencache.policies import MOST_MARKS
from greencache.stats import TierCounters
from greencache.tiers.base import Lease, Status, TierHealth, TierUsage
from greencache.tiers.memory_entries import MemoryEntries
from greencache.tiers.memory_inspection import MemoryInspection
from greencache.tiers.memory_top import HitCounts, TopEntry, TopMeasure, top_entries
from greencache.tiers.sizing import Sizer, estimate_size, weigh
from greencache.typing import CacheTier, Key, Seconds

__all__ = ["MemoryTier"]

_LEASES = 100_000
_REVOKED = 10_000
_NUMBER, _HOLDERS = 0, 1


class MemoryTier:
    """Entries in this process's memory, bounded by bytes and by count.

    A lease is a number that the key has while somebody is on the way down for it. Readers of one key share
    it, the first fill uses it up, and whatever stores or removes an entry takes it away.

    A hit takes no lock and moves nothing, whatever the policy: it marks the entry, and who has to make room
    reads the marks. The default is a form of S3-FIFO (Yang et al., "FIFO Queues are All You Need for Cache
    Eviction", SOSP 2023) or CLOCK (Corbató, "A Paging Experiment with the Multics System", 1969), whichever
    misses least on a sample of the keys (Qureshi et al., "Adaptive Insertion Policies for High Performance
    Caching", ISCA 2007).

    Args:
        size: Bytes that keys and values may take together.
        max_entries: How many entries at most; `None` for as many as fit.
        ttl: Seconds that an entry is kept before the tier below is asked again; `None` for ever.
        policy: What is evicted first, one of `greencache.policies.POLICIES`.
        sizer: Returns the bytes that a value takes.
        count_hits: Whether to count the hits of each key, for `top`; makes a hit about half as slow again.
        clock: Where the time comes from.
    """

    name = CacheTier.L1
    writable = True

    def __init__(
        self,
        size: int = 5_000_000,
        *,
        max_entries: int | None = None,
        ttl: Seconds | None = 60.0,
        policy: str = "default",
        sizer: Sizer = estimate_size,
        count_hits: bool = False,
        clock: Clock | None = None,
        counters: TierCounters | None = None,
    ) -> None:
        if size <= 0 or (max_entries is not None and max_entries <= 0):
            raise ConfigurationError(f"L1 must have room: got size={size}, max_entries={max_entries}")
        self.ttl = ttl
        self.counters = counters or TierCounters()
        self._size = size
        self._sizer = sizer
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._entries = MemoryEntries(
            size, max_entries, policy=policy, clock=self._clock, counters=self.counters
        )
        index = self._entries.index
        self._hits = HitCounts(index) if count_hits else None
        self.index: Mapping[Key, Entry] = index if self._hits is None else self._hits
        """The entries by key, whatever their state, to be looked at without the lock. A lookup is atomic:
        with the interpreter lock, and by the dict's own lock in free-threaded builds."""
        self.peek = self.index.get
        self._numbers = itertools.count(1)
        self._leases: dict[Key, list[int]] = {}
        self._revoked: dict[str, tuple[int, str]] = {}
        inspection = MemoryInspection(self._entries.index, self._leases, sizer, self._clock)
        self.scan_keys = inspection.scan_keys
        self.inspect_many = inspection.inspect_many
        after_fork_in_child(self._reset_after_fork)

    def _empty(self) -> None:
        self._entries.clear()
        self._revoked = {}
        self._leases.clear()

    def _reset_after_fork(self) -> None:
        # A lock that is held belongs to a thread of the parent that was changing what the child has a
        # copy of; half a change cannot be mended, an empty cache can.
        if self._lock.locked():
            self._empty()
        # Nobody in the child is on the way down.
        self._leases.clear()
        self._lock = threading.Lock()

    # -- reading ---------------------------------------------------------------------------------------

    def get_many(self, keys: Iterable[Key]) -> dict[Key, Entry]:
        """Return what is there, stale entries included, and mark it as hit."""
        now = self._clock.now()
        found = {}
        for key in keys:
            entry = self.peek(key)
            if entry is not None and judge(entry, now) is not State.GONE:
                if entry.marked < MOST_MARKS:
                    entry.marked += 1
                found[key] = entry
        return found

    def note_look(self, keys: Iterable[Key], found: Mapping[Key, Entry]) -> None:
        """Is told of each look past the index; nothing here, where nothing is recorded."""

    def reserve_many(self, keys: Iterable[Key]) -> dict[Key, Lease]:
        """Return the leases of the keys, new ones where nobody holds one."""
        granted: dict[Key, Lease] = {}
        with self._lock:
            if len(self._leases) > _LEASES:
                # Only holders that were ended before they could give theirs up can be so many.
                self._leases.clear()
            for key in keys:
                lease = self._leases.setdefault(key, [next(self._numbers), 0])
                lease[_HOLDERS] += 1
                granted[key] = lease[_NUMBER]
        return granted

    # -- writing ---------------------------------------------------------------------------------------

    def fill_many(self, entries: Mapping[Key, Entry], leases: Mapping[Key, Lease]) -> set[Key]:
        """Store entries whose lease is still good and whose stamps were not replaced."""
        weights = {key: self._weigh(key, entry) for key, entry in entries.items()}
        stored, refused = set(), 0
        with self._lock, self._entries.changes:
            for key, entry in entries.items():
                is_good = self._is_good(key, leases.get(key))
                if is_good:
                    self._leases.pop(key, None)
                if not is_good or self._is_revoked(entry):
                    refused += 1
                elif self._entries.store(key, entry, weights[key]):
                    stored.add(key)
            self._sweep()
        self.counters.fills += len(stored)
        self.counters.refused_fills += refused
        return stored

    def release_many(self, leases: Mapping[Key, Lease]) -> None:
        """Give up leases; one that others share stays good for them."""
        with self._lock:
            for key, number in leases.items():
                lease = self._leases.get(key)
                if lease is not None and lease[_NUMBER] == number:
                    lease[_HOLDERS] -= 1
                    if not lease[_HOLDERS]:
                        del self._leases[key]

    def put_many(self, entries: Mapping[Key, Entry]) -> set[Key]:
        """Store entries whatever is there, and void the leases on their keys."""
        weights = {key: self._weigh(key, entry) for key, entry in entries.items()}
        with self._lock, self._entries.changes:
            stored = set()
            for key, entry in entries.items():
                # Not if a tag of it was invalidated since its stamps were read.
                if not self._is_revoked(entry) and self._entries.store(key, entry, weights[key]):
                    stored.add(key)
                else:
                    self._entries.remove(key)
            self._void(entries)
            self._sweep()
        self.counters.puts += len(stored)
        return stored

    def drop_many(self, keys: Iterable[Key]) -> int:
        """Remove entries, void the leases on their keys, and return how many there were."""
        names = list(keys)
        with self._lock, self._entries.changes:
            removed = sum(self._entries.remove(key) for key in names)
            self._void(names)
        self.counters.drops += removed
        return removed

    def drop_matching(self, pattern: Pattern) -> int:
        """Remove the entries whose keys match, and void all leases, since any may be for such a key."""
        return self._drop_where(lambda key, _: pattern.matches(key))

    def replace_stamps(self, stamps: Mapping[str, str], number: int) -> int:
        """Remove the entries that carry other stamps than these, now and when they come later.

        Args:
            stamps: The current stamps by tag; the tag "" is the namespace.
            number: Grows with each replacement; of a tag, one with a lower number than the last is ignored.

        Returns:
            How many entries were removed.
        """
        with self._lock, self._entries.changes:
            revoked = self._revoked
            newer = [tag for tag in stamps if revoked.get(tag, (0, ""))[0] <= number]
            latest = {tag: (number, stamps[tag]) for tag in newer}
            revoked.update(latest)
            if len(revoked) > _REVOKED:
                # Forgetting a replaced stamp is safe only if no load that began before it can still fill.
                self._revoked = latest
                self._leases.clear()
            index = self._entries.index
            tagged = (key for tag in stamps for key in self._entries.tagged.get(tag, ()))
            affected = index if "" in stamps else tagged
            outdated = [key for key in affected if self._is_revoked(index[key])]
            removed = sum(self._entries.remove(key) for key in outdated)
        self.counters.drops += removed
        return removed

    def clear(self) -> int:
        """Remove everything, void all leases, and return how many entries there were."""
        return self._drop_where(lambda _key, _entry: True)

    def _drop_where(self, is_dropped: Callable[[Key, Entry], bool]) -> int:
        # The predicate runs outside the lock, on a copy. A fill that lands meanwhile was reserved after all
        # leases were voided, and so after the deeper tiers were dropped.
        with self._lock:
            self._leases.clear()
            present = list(self._entries.index.items())
        return self.drop_many([key for key, entry in present if is_dropped(key, entry)])

    # -- what stays, and what it is used for ---------------------------------------------------------------

    def pin(self, key: Key) -> bool:
        """Keep what is stored under a key from being evicted, and return whether it is there and kept."""
        with self._lock:
            self._entries.pins.want(key)
            with self._entries.changes:
                return self._entries.pin(key)

    def unpin(self, key: Key) -> bool:
        """Let a key be evicted again, and return whether it was there and kept from that."""
        with self._lock, self._entries.changes:
            return self._entries.unpin(key)

    def pins(self) -> dict[Key, bool]:
        """Return the keys that are to be pinned, and for each whether it is there and pinned."""
        with self._lock:
            return {key: key in self._entries.pins for key in self._entries.pins.wanted}

    def top(self, count: int, by: TopMeasure) -> list[TopEntry]:
        """Return the entries that are hit most, or take most; see `top_entries`."""
        return top_entries(self._entries, self._hits, count=count, by=by, now=self._clock.now())

    # -- the rest --------------------------------------------------------------------------------------

    def check(self) -> TierHealth:
        """Return that it is up: memory does not fail, it is full."""
        usage = self.usage()
        detail = {"entries": usage.entries, "size": usage.size, "max_size": self._size}
        return TierHealth(status=Status.UP, latency_ms=0.0, detail=detail)

    def usage(self) -> TierUsage:
        """Return how many entries it holds, and about how many bytes they take."""
        return TierUsage(len(self._entries.index), self._entries.weight)

    def close(self) -> None:
        """Let go of all entries."""
        with self._lock:
            self._empty()

    # -- under the lock --------------------------------------------------------------------------------

    def _weigh(self, key: Key, entry: Entry) -> int:
        # Called outside the lock: a sizer is the user's code.
        return weigh(key, entry.kept, self._sizer)

    def _sweep(self) -> None:
        if self._entries.sweep_when_due() and self._hits is not None:
            self._hits.forget_gone()

    def _is_revoked(self, entry: Entry) -> bool:
        revoked = self._revoked
        if not revoked:
            return False
        for tag, token in entry.stamps:
            latest = revoked.get(tag)
            if latest is not None and latest[1] != token:
                return True
        return False

    def _is_good(self, key: Key, number: Lease | None) -> bool:
        lease = self._leases.get(key)
        return lease is not None and lease[_NUMBER] == number

    def _void(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._leases.pop(key, None)
