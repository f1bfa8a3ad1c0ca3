"""Counters for each tier, and immutable snapshots of them that can be subtracted.

Counting is a plain `+=` on an attribute. CPython's interpreter lock is not handed over between the load and
the store of such a statement when its right side calls nothing, so no count is lost there; a free-threaded
build may lose a few under contention. No figure here decides anything.
"""

import dataclasses
import operator
from collections.abc import Callable, Mapping
from typing import Any, Self

from greencache.typing import CacheTier, Seconds

__all__ = ["CacheStats", "LoadCounters", "LoadStats", "TierCounters", "TierStats"]


class TierCounters:
    """What happened in one tier so far; each attribute is explained at `TierStats`."""

    __slots__ = (
        "count_evictions", "drops", "errors", "evictions", "expired", "fills", "hits", "limited", "misses",
        "puts", "refused_fills", "refused_sizes", "replica_hits", "seconds", "stale", "undecodable",
        "unencodable",
    )  # fmt: skip

    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0
        self.replica_hits = 0
        self.stale = 0
        self.fills = 0
        self.refused_fills = 0
        self.refused_sizes = 0
        self.puts = 0
        self.drops = 0
        self.evictions = 0
        self.count_evictions = 0
        self.expired = 0
        self.errors = 0
        self.limited = 0
        self.undecodable = 0
        self.unencodable = 0
        self.seconds = 0.0

    def snapshot(self) -> "TierStats":
        """Return the counts as they are now."""
        return TierStats(**{name: getattr(self, name) for name in self.__slots__})


class LoadCounters:
    """What happened to loads so far; each attribute is explained at `LoadStats`."""

    __slots__ = ("degraded", "failures", "joined", "loads", "seconds", "stale_served", "waited")

    def __init__(self) -> None:
        self.loads = 0
        self.failures = 0
        self.joined = 0
        self.waited = 0
        self.stale_served = 0
        self.degraded = 0
        self.seconds = 0.0

    def snapshot(self) -> "LoadStats":
        """Return the counts as they are now."""
        return LoadStats(**{name: getattr(self, name) for name in self.__slots__})


class _Countable:
    """Adds and subtracts field by field."""

    __slots__ = ()

    def _combined(self, other: Self, combine: Callable[[Any, Any], Any]) -> Self:
        fields = dataclasses.fields(self)  # type: ignore[arg-type]  # only dataclasses inherit this
        return type(self)(**{f.name: combine(getattr(self, f.name), getattr(other, f.name)) for f in fields})

    def __add__(self, other: Self) -> Self:
        return self._combined(other, operator.add)

    def __sub__(self, earlier: Self) -> Self:
        return self._combined(earlier, operator.sub)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TierStats(_Countable):
    """What happened in one tier.

    Args:
        hits: Keys found fresh.
        replica_hits: Of the hits, keys found at a replica.
        misses: Keys not found fresh.
        stale: Of the misses, keys found but stale.
        fills: Entries stored with a lease, on the way up from a deeper hit or a load.
        refused_fills: Entries not stored because their lease was void: a stale fill prevented.
        refused_sizes: Entries not stored because they were too large.
        puts: Entries stored by a write.
        drops: Entries removed by a delete or an invalidation.
        evictions: Entries removed to stay within the budget, as far as this process does that itself.
        count_evictions: Of the evictions, those because there were too many entries; the others are because
            there were too many bytes.
        expired: Entries removed because they were gone.
        errors: Calls that ended in an outage, or were not made because of one.
        limited: Of the errors, calls that were not made because of `max_calls_per_second`.
        undecodable: Entries found damaged, forged, of another version or of another key.
        unencodable: Entries not stored because they could not be encoded.
        seconds: Time spent looking keys up; not measured in L1, whose hits are cheaper than a clock.
    """

    hits: int = 0
    replica_hits: int = 0
    misses: int = 0
    stale: int = 0
    fills: int = 0
    refused_fills: int = 0
    refused_sizes: int = 0
    puts: int = 0
    drops: int = 0
    evictions: int = 0
    count_evictions: int = 0
    expired: int = 0
    errors: int = 0
    limited: int = 0
    undecodable: int = 0
    unencodable: int = 0
    seconds: Seconds = 0.0

    @property
    def removed(self) -> dict[str, int]:
        """Why entries went, or did not come in: how many for each reason.

        "size" and "count" are evictions, for too many bytes and for too many entries; "expired" were gone;
        "dropped" were deleted or invalidated; "oversize" were too large to be stored at all.
        """
        return {
            "size": self.evictions - self.count_evictions,
            "count": self.count_evictions,
            "expired": self.expired,
            "dropped": self.drops,
            "oversize": self.refused_sizes,
        }

    @property
    def lookups(self) -> int:
        """Keys looked up."""
        return self.hits + self.misses

    @property
    def hit_rate(self) -> float:
        """Part of the keys looked up that were found fresh, between 0 and 1; 0 when there were none."""
        return self.hits / self.lookups if self.lookups else 0.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LoadStats(_Countable):
    """What happened to loads.

    Args:
        loads: Calls of a loader.
        failures: Of these, calls that raised.
        joined: Callers that waited for a load of this process instead of loading themselves.
        waited: Callers that waited for a load of another process.
        stale_served: Stale values served because loading failed, or somebody else was at it.
        degraded: Values of L1 served past `max_staleness`, because the authority was out of reach.
        seconds: Time spent in loaders.
    """

    loads: int = 0
    failures: int = 0
    joined: int = 0
    waited: int = 0
    stale_served: int = 0
    degraded: int = 0
    seconds: Seconds = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class CacheStats:
    """A snapshot of all counters of a cache.

    Args:
        tiers: The counts of each tier that the cache has.
        loads: The counts of loads.
    """

    tiers: Mapping[CacheTier, TierStats]
    loads: LoadStats

    def __getitem__(self, tier: CacheTier | str) -> TierStats:
        return self.tiers[CacheTier[tier] if isinstance(tier, str) else tier]

    def __sub__(self, earlier: "CacheStats") -> "CacheStats":
        zero = TierStats()
        return CacheStats(
            {tier: stats - earlier.tiers.get(tier, zero) for tier, stats in self.tiers.items()},
            self.loads - earlier.loads,
        )

    @property
    def hit_rate(self) -> float:
        """Part of the keys asked for that some tier held fresh, between 0 and 1."""
        if not self.tiers:
            return 0.0
        asked = self.tiers[min(self.tiers)].lookups
        return sum(stats.hits for stats in self.tiers.values()) / asked if asked else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the snapshot as plain types, for JSON."""
        return {
            "hit_rate": self.hit_rate,
            "tiers": {
                tier.name: {
                    **dataclasses.asdict(stats),
                    "hit_rate": stats.hit_rate,
                    "removed": stats.removed,
                }
                for tier, stats in self.tiers.items()
            },
            "loads": dataclasses.asdict(self.loads),
        }
