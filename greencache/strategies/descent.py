"""What reads and writes gather on their way through the tiers."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Self

from greencache.entry import Entry, State, judge, present
from greencache.tiers.base import Lease
from greencache.tiers.guarded import GuardedTier
from greencache.tiers.memory import MemoryTier
from greencache.typing import CacheTier, Key, Seconds

__all__ = ["Descent", "Dropped"]


class Descent:
    """What a read found on its way down, and the leases for its way up.

    A context that gives up, when it is left, all leases that were not used: also when the thread or greenlet
    is being ended, so that nobody waits for it.

    Args:
        takes_absent: Whether it is an answer that a key is known not to exist; otherwise it is as missing.
        found: Entries to be served and promoted.
        stale: Entries to be served only if nothing better can be had.
        leases: The leases that each tier gave, from the nearest to the deepest.
        elsewhere: Keys whose lease at the elector somebody else holds, who is loading them.
        served: Entries to be served although they are not good enough to be stored anywhere.
        doubted: Entries of this host's tiers that may have been dropped elsewhere without being heard of.
        confirmed: Stale entries that were still at the elector when it had given its lease.
        places: Where the entries of the way down were found.
        refused: For each key, the tiers that refused to be filled although they had given a lease.
    """

    __slots__ = (
        "asked_at",
        "confirmed",
        "doubted",
        "elsewhere",
        "found",
        "leases",
        "places",
        "refused",
        "served",
        "stale",
        "takes_absent",
    )

    def __init__(self, *, takes_absent: bool = True) -> None:
        self.takes_absent = takes_absent
        self.asked_at: Seconds = 0.0
        """When leases were last asked for, in seconds of `time.monotonic`, in which servers count them."""
        self.found: dict[Key, Entry] = {}
        self.served: dict[Key, Entry] = {}
        self.doubted: dict[Key, Entry] = {}
        self.stale: dict[Key, Entry] = {}
        self.leases: list[tuple[MemoryTier | GuardedTier, dict[Key, Lease]]] = []
        self.elsewhere: set[Key] = set()
        self.confirmed: dict[Key, Entry] = {}
        self.places: dict[Key, CacheTier] = {}
        self.refused: dict[Key, list[CacheTier]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self.leases:
            tier, leases = self.leases.pop()
            if leases:
                tier.release_many(leases)

    def accept(self, entries: Mapping[Key, Entry]) -> dict[Key, Entry]:
        """Take entries as found, those that are an answer, and return them."""
        taken = dict(entries) if self.takes_absent else present(entries)
        self.found.update(taken)
        return taken

    def accept_copies(self, copies: Mapping[Key, Entry], tier: CacheTier, memory: MemoryTier | None) -> None:
        """Take what copies of a tier have, to be served and stored in L1 at most."""
        if not copies:
            return
        taken = self.accept(copies)
        self.places.update(dict.fromkeys(taken, tier))
        for holder, _ in self.leases:
            if holder is not memory:
                self.give_up(holder, taken)

    def give_up(self, tier: MemoryTier | GuardedTier, keys: Iterable[Key]) -> None:
        """Release a tier's leases on keys that need not be filled there, since it has them."""
        for other, leases in self.leases:
            if other is tier:
                unused = {key: leases.pop(key) for key in keys if key in leases}
                if unused:
                    tier.release_many(unused)

    def hold(self, stale: Mapping[Key, Entry], doubted: Mapping[Key, Entry]) -> None:
        """Keep what L1 has and could not serve."""
        if stale:
            self.set_aside(stale)
        if doubted:
            self.doubt(doubted)

    def set_aside(self, entries: Mapping[Key, Entry]) -> None:
        """Keep stale entries for when nothing better can be had, of each key the newest."""
        _keep_newest(self.stale, entries)

    def doubt(self, entries: Mapping[Key, Entry]) -> None:
        """Keep entries that cannot be proved, for when nobody can be asked, of each key the newest."""
        _keep_newest(self.doubted, entries)

    def serve_doubted(self, keys: Iterable[Key], now: Seconds) -> None:
        """Serve what cannot be proved where it is fresh by its time, and set it aside where it is stale."""
        doubted = {key: self.doubted[key] for key in keys if key in self.doubted}
        for key, entry in doubted.items():
            if key not in self.found and judge(entry, now) <= State.DUE:
                self.served[key] = entry
        self.set_aside(doubted)

    def lacks(self, keys: Iterable[Key]) -> list[Key]:
        """Return the keys that have no entry yet, neither found nor served."""
        left = list(itertools.filterfalse(self.found.__contains__, keys))
        return [key for key in left if key not in self.served] if self.served else left


class Dropped:
    """What a write or a drop has done.

    Args:
        count: Entries removed, in the tier that had most of them.
        pending: For each tier that could not be reached, what waits for it.
    """

    __slots__ = ("count", "pending")

    def __init__(self) -> None:
        self.count = 0
        self.pending: dict[str, tuple[str, ...]] = {}

    def note(self, tier: MemoryTier | GuardedTier, count: int | None) -> None:
        """Add what one tier answered; `None` means that it could not be reached."""
        if count is not None:
            self.count = max(self.count, count)
        elif isinstance(tier, GuardedTier):
            # A tier may have several parts.
            waiting = (*self.pending.get(tier.name.name, ()), *tier.waiting)
            self.pending[tier.name.name] = tuple(dict.fromkeys(waiting))


def _keep_newest(kept: dict[Key, Entry], more: Mapping[Key, Entry]) -> None:
    for key, entry in more.items():
        known = kept.get(key)
        if known is None or known.created < entry.created:
            kept[key] = entry
