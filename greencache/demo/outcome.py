"""What came out of the demo."""

import dataclasses
import decimal
import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from greencache.stats import CacheStats, LoadStats, TierStats
from greencache.typing import CacheTier, Seconds

__all__ = ["EXACT", "Check", "Moment", "Outcome", "Stage", "add_up", "combine_stats", "tonnes"]

EXACT: Final = decimal.Context(prec=60, traps=[decimal.Inexact, decimal.InvalidOperation])
"""Sums of grams are exact in it, or raise."""


def add_up(amounts: Iterable[Decimal]) -> Decimal:
    """Return an exact sum."""
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


def tonnes(grams: Decimal) -> Decimal:
    """Return grams as tonnes, exactly."""
    return EXACT.scaleb(grams, -6)


def combine_stats(snapshots: Iterable[CacheStats]) -> CacheStats:
    """Return the counts of several caches added up."""
    snapshots = list(snapshots)
    names = sorted({tier for stats in snapshots for tier in stats.tiers})
    tiers = {tier: [stats.tiers[tier] for stats in snapshots if tier in stats.tiers] for tier in names}
    return CacheStats(
        {tier: TierStats(**_sums(counts)) for tier, counts in tiers.items()},
        LoadStats(**_sums([stats.loads for stats in snapshots])),
    )


def _sums(counts: Sequence[TierStats] | Sequence[LoadStats]) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(counts[0])] if counts else []
    return {name: sum(getattr(count, name) for count in counts) for name in names}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One pass over rows of the ledger, by all workers that took part in it.

    Args:
        name: What it shows.
        rows: Rows multiplied by their factor.
        seconds: Time from the first row to the last.
        grams: Emissions, exact.
        stats: What the workers' caches counted meanwhile.
        errors: Exceptions that a lookup raised, by name.
    """

    name: str
    rows: int
    seconds: Seconds
    grams: Decimal
    stats: CacheStats
    errors: Mapping[str, int]

    @property
    def rows_per_second(self) -> float:
        """Rows per second, all workers together."""
        return self.rows / self.seconds if self.seconds else math.inf


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """Something the demo claims, and whether it was so.

    Args:
        name: The claim.
        holds: Whether it was so.
        found: What was seen.
    """

    name: str
    holds: bool
    found: str


@dataclasses.dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened while workers worked.

    Args:
        seconds: When, since the first row of the first pass.
        name: What.
    """

    seconds: Seconds
    name: str


@dataclasses.dataclass(slots=True, kw_only=True)
class Outcome:
    """What came out of the demo, filled in as it goes on.

    Args:
        servers: Which server played each part, and where it came from.
        factors: Figures loaded into PostgreSQL.
        ledger_rows: Rows of the ledger.
        grams_direct: Emissions of the ledger as PostgreSQL computes them by itself.
        grams_cached: The same, by the workers over the cache.
        grams_by_source: The same, by the source whose factors were used.
        kwh_by_source: What was generated, likewise.
        sample_rows: Rows for which PostgreSQL was asked one by one.
        lookup_seconds: Time per lookup, straight from PostgreSQL and from each tier.
        entries: Entries in each tier at the end of the warm pass.
        stages: The passes over the ledger.
        loader_calls: How often any process called a loader.
        stale_after_invalidate: Reads that returned the old value after its invalidation was applied.
        errors_during_outage: Lookups that raised while L3 was down.
        progress: Rows done at moments since the first row.
        moments: What happened meanwhile.
        checks: What was claimed.
        notes: What could not be shown here, and why.
        seconds: How long all of it took.
    """

    servers: dict[str, str] = dataclasses.field(default_factory=dict)
    factors: int = 0
    ledger_rows: int = 0
    grams_direct: Decimal = Decimal(0)
    grams_cached: Decimal = Decimal(0)
    grams_by_source: dict[str, Decimal] = dataclasses.field(default_factory=dict)
    kwh_by_source: dict[str, int] = dataclasses.field(default_factory=dict)
    sample_rows: int = 0
    lookup_seconds: dict[str, Seconds] = dataclasses.field(default_factory=dict)
    entries: dict[CacheTier, int] = dataclasses.field(default_factory=dict)
    stages: list[Stage] = dataclasses.field(default_factory=list)
    loader_calls: int = 0
    stale_after_invalidate: int = 0
    errors_during_outage: int = 0
    progress: list[tuple[Seconds, int]] = dataclasses.field(default_factory=list)
    moments: list[Moment] = dataclasses.field(default_factory=list)
    checks: list[Check] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    seconds: Seconds = 0.0

    @property
    def stats(self) -> CacheStats:
        """What was counted in all stages together."""
        return combine_stats(stage.stats for stage in self.stages)

    @property
    def failed(self) -> list[Check]:
        """The checks that did not hold."""
        return [check for check in self.checks if not check.holds]

    def check(self, name: str, holds: bool, found: object) -> None:
        """Note a claim and whether it was so."""
        self.checks.append(Check(name, bool(holds), str(found)))

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain types, for JSON."""
        stats = self.stats
        return {
            "servers": self.servers,
            "factors": self.factors,
            "rows": self.ledger_rows,
            "tiers": {tier.name: self._tier_dict(tier, counts) for tier, counts in stats.tiers.items()},
            "emissions_unit": "tCO2e",
            "emissions_direct": float(tonnes(self.grams_direct)),
            "emissions_cached": float(tonnes(self.grams_cached)),
            # Floats round; these are all the digits.
            "emissions_direct_exact": str(tonnes(self.grams_direct)),
            "emissions_cached_exact": str(tonnes(self.grams_cached)),
            "emissions_by_source": {name: float(tonnes(g)) for name, g in self.grams_by_source.items()},
            "stale_after_invalidate": self.stale_after_invalidate,
            "errors_during_outage": self.errors_during_outage,
            "rows_per_second": max((stage.rows_per_second for stage in self.stages), default=0.0),
            "loader_calls": self.loader_calls,
            "seconds_per_lookup": self.lookup_seconds,
            "stages": [_stage_dict(stage) for stage in self.stages],
            "checks": {check.name: {"holds": check.holds, "found": check.found} for check in self.checks},
            "notes": self.notes,
            "seconds": self.seconds,
        }

    def _tier_dict(self, tier: CacheTier, counts: TierStats) -> dict[str, Any]:
        return {
            "hits": counts.hits,
            "hit_rate": counts.hit_rate,
            "lookups": counts.lookups,
            "seconds_per_lookup": self.lookup_seconds.get(tier.name),
            "entries": self.entries.get(tier),
        }


def _stage_dict(stage: Stage) -> dict[str, Any]:
    return {
        "name": stage.name,
        "rows": stage.rows,
        "seconds": stage.seconds,
        "rows_per_second": stage.rows_per_second,
        "emissions": float(tonnes(stage.grams)),
        "errors": dict(stage.errors),
        **stage.stats.as_dict(),
    }
