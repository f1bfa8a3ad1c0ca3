"""The tiers of one cache, from the nearest to the deepest."""

from collections.abc import Sequence
from typing import Protocol

from greencache.clock import Clock
from greencache.entry import Entry
from greencache.errors import ConfigurationError, InvalidOptionError
from greencache.tiers.base import Kept, Refreshable, StampStore, Status, Tier
from greencache.tiers.guarded import GuardedTier
from greencache.tiers.memory import MemoryTier
from greencache.typing import CacheTier, Seconds
from greencache.upkeep import Chore

__all__ = ["Stack", "Trust", "sorted_tiers"]


class Trust(Protocol):
    """Says until when nothing that was announced can have been missed."""

    trusted_until: Seconds


class Stack:
    """The tiers of one cache.

    Args:
        memory: L1, if there is one.
        shared: The tiers that other processes use too, from the nearest to the deepest.
        clock: Where the time comes from.
        trust: Tells until when no announcement can have been missed; `None` where nothing is announced.
        is_deaf: Whether others may drop what is here without anybody hearing of it.
        serves_unproved: Whether what nobody can vouch for is served while the authority is out of reach.
    """

    def __init__(
        self,
        memory: MemoryTier | None,
        shared: Sequence[GuardedTier],
        clock: Clock,
        trust: Trust | None = None,
        *,
        is_deaf: bool = False,
        serves_unproved: bool = True,
    ) -> None:
        self.is_deaf = is_deaf
        self.serves_unproved = serves_unproved
        self.memory = memory
        self.shared = tuple(shared)
        self.clock = clock
        self._trust = trust
        self.authority = self._find_authority()
        self.ahead_of_authority = self._find_ahead()
        """The shared tiers above the authority: what a host has to itself, and must forget by itself."""
        self.tiers: tuple[MemoryTier | GuardedTier, ...] = (
            self.shared if self.memory is None else (self.memory, *self.shared)
        )

    def _find_authority(self) -> GuardedTier | None:
        """Return the deepest writable Redis tier, else the table, else none: then L1 is its own."""
        writable = [tier for tier in self.shared if tier.writable]
        redis = [tier for tier in writable if tier.name < CacheTier.L4]
        candidates = redis or writable
        return candidates[-1] if candidates else None

    def _find_ahead(self) -> tuple[GuardedTier, ...]:
        authority = self.authority
        return () if authority is None else tuple(t for t in self.shared if t.name < authority.name)

    def is_authority(self, tier: Tier) -> bool:
        """Return whether a tier is what the authority guards."""
        return self.authority is not None and self.authority.tier is tier

    @property
    def above_views(self) -> tuple[GuardedTier, ...]:
        """The shared tiers that may hold copies of a view's rows, and are no views themselves."""
        return tuple(tier for tier in self.shared if not isinstance(tier.tier, Refreshable))

    def may_be_passed_by(self, tier: GuardedTier) -> bool:
        """Return whether a tier is slow and the authority, which has what it has, is there and quicker.

        The authority itself never is: it elects loaders, and has the stamps that prove entries.
        """
        authority = self.authority
        return (
            tier.pace.is_slow
            and authority is not None
            and tier in self.ahead_of_authority
            and authority.status is Status.UP
            and tier.pace.is_behind(authority.pace)
        )

    def host_identity(self) -> str:
        """Return what tells the shared tiers above the authority from all others; empty if not known."""
        names = [tier.identity() for tier in self.ahead_of_authority]
        return "+".join(names) if all(names) else ""

    @property
    def is_heard(self) -> bool:
        """Whether everything that was announced has been heard, so that a host's own tiers are proved."""
        return self._trust is None or self.clock.now() < self._trust.trusted_until

    def elector(self, deepest: CacheTier | None) -> GuardedTier | None:
        """Return the tier whose lease decides who loads: the authority, if an entry is kept so deep.

        Args:
            deepest: The deepest tier that is to keep the entry; `None` for all.
        """
        if self.authority is None or deepest is None or self.authority.name <= deepest:
            return self.authority
        above = [tier for tier in self.shared if tier.writable and tier.name <= deepest]
        return above[-1] if above else None

    @property
    def stamp_keepers(self) -> tuple[GuardedTier, ...]:
        """The authority and the writable tiers below it, which keep stamps for when it loses them."""
        if self.authority is None:
            return ()
        return tuple(t for t in self.shared if t.writable and t.name >= self.authority.name)

    def check_tier(self, tier: CacheTier) -> None:
        """Refuse a tier that an entry cannot be kept in.

        Raises:
            InvalidOptionError: If this cache has no such writable tier.
        """
        names = [each.name for each in self.tiers if each.writable]
        if tier not in names:
            known = ", ".join(map(str, names)) or "none"
            raise InvalidOptionError(f"tier must be one that this cache writes to ({known}), got {tier!s}")

    def default_ttl(self, deepest: CacheTier | None) -> Seconds | None:
        """Return the ttl of the deepest tier that keeps an entry for which none was given."""
        ttls = [
            tier.ttl for tier in self.tiers if tier.writable and (deepest is None or tier.name <= deepest)
        ]
        return ttls[-1] if ttls else None

    def kept(self, tier: "MemoryTier | GuardedTier", entry: Entry) -> Entry:
        """Return the entry as a tier keeps it: above the deepest, no longer than the tier's own ttl."""
        if tier.ttl is None or tier.name >= self.deepest_of(entry):
            return entry
        return entry.retained(self.clock.now() + tier.ttl)

    def deepest_of(self, entry: Entry) -> CacheTier:
        """Return the deepest tier that keeps an entry."""
        return self.tiers[-1].name if entry.tier is None else entry.tier

    @property
    def chores(self) -> list[Chore]:
        """What has to be done now and then for the tiers."""
        return [chore for each in self.shared if isinstance(each.tier, Kept) for chore in each.tier.chores]

    def close(self) -> None:
        """Close every tier."""
        for tier in self.tiers:
            tier.close()


def sorted_tiers(tiers: Sequence[Tier]) -> tuple[MemoryTier | None, list[Tier]]:
    """Return L1, if it is among them, and the others from the nearest to the deepest.

    Raises:
        ConfigurationError: If they do not make a cache.
    """
    if not all(hasattr(tier, "reserve_many") for tier in tiers):
        raise ConfigurationError(f"tiers must be Tier objects, got {tiers!r}; for addresses use from_urls")
    memory = [tier for tier in tiers if isinstance(tier, MemoryTier)]
    # Stable: a view that was given before the table of its tier is read before it.
    shared = sorted((tier for tier in tiers if not isinstance(tier, MemoryTier)), key=lambda tier: tier.name)
    if len(memory) > 1 or not tiers:
        raise ConfigurationError(f"a cache needs tiers, at most one of them L1; got {list(tiers)!r}")
    for tier in shared:
        if tier.writable and not isinstance(tier, StampStore):
            raise ConfigurationError(f"a shared tier must keep stamps too; {tier!r} does not")
    return (memory[0] if memory else None), shared
