"""How a cache is doing: its counts, its tiers' health, and what they hold."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from greencache.backends.redis_report import Drift, RedisHealth
from greencache.errors import TierUnavailableError
from greencache.stats import CacheStats, LoadCounters, TierStats
from greencache.tiers.base import Status, TierHealth, TierUsage
from greencache.tiers.guarded import GuardedTier
from greencache.tiers.memory import MemoryTier
from greencache.tiers.stack import Stack
from greencache.typing import CacheTier

__all__ = ["HealthReport", "TierReport", "count", "examine", "measure", "overall", "refuse_unless_up"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TierReport:
    """How one tier is doing.

    Args:
        status: Whether it answers; degraded also if that took longer than the cache's `max_latency`.
        latency_ms: Milliseconds that the answer took; `None` when there was none.
        hit_rate: Part of this process's lookups that it answered, between 0 and 1.
        error: Why it is not up; empty when it is.
        waiting: Drops that are queued for it: the first hundred, and in a last line how many more.
        server: What a Redis says of itself: memory, clients, evictions, role, replicas, persistence.
        recent_hit_rate: Part of all lookups at the server, by any client, that found something since the
            last check in the background; `None` if there was none.
        detail: What any server says of itself, as plain types.
    """

    status: Status
    latency_ms: float | None
    hit_rate: float
    error: str = ""
    waiting: tuple[str, ...] = ()
    server: RedisHealth | None = None
    recent_hit_rate: float | None = None
    detail: Mapping[str, object] = dataclasses.field(default_factory=dict)

    @property
    def drift(self) -> tuple[Drift, ...]:
        """Where running servers differ from their settings; changes no status."""
        return self.server.drift if self.server is not None else ()


@dataclasses.dataclass(frozen=True, slots=True)
class HealthReport:
    """How a cache is doing.

    Args:
        status: Up if every tier is, down if none is, degraded otherwise.
        tiers: How each tier is doing.
    """

    status: Status
    tiers: Mapping[CacheTier, TierReport]

    def __getitem__(self, tier: CacheTier | str) -> TierReport:
        return self.tiers[CacheTier[tier] if isinstance(tier, str) else tier]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain types, for JSON."""
        tiers = {tier.name: _plain(report) for tier, report in self.tiers.items()}
        return {"status": self.status.value, "tiers": tiers}


def _plain(report: TierReport) -> dict[str, Any]:
    # What a Redis says is in the detail already.
    return {name: value for name, value in dataclasses.asdict(report).items() if name != "server"}


def overall(statuses: list[Status]) -> Status:
    """Return the status of a whole from the statuses of its parts."""
    if all(status is Status.UP for status in statuses):
        return Status.UP
    return Status.DOWN if all(status is Status.DOWN for status in statuses) else Status.DEGRADED


def count(stack: Stack, loads: LoadCounters) -> CacheStats:
    """Return the counts so far; a tier of several parts counts as one."""
    tiers: dict[CacheTier, TierStats] = {}
    if stack.memory is not None:
        tiers[CacheTier.L1] = stack.memory.counters.snapshot()
    for tier in stack.shared:
        counted = tier.counters.snapshot()
        if (before := tiers.get(tier.name)) is not None:
            # The parts of a tier are asked in turn: what the tier missed is what its last part missed.
            missed = {"misses": counted.misses, "stale": counted.stale}
            counted = dataclasses.replace(before + counted, **missed)
        tiers[tier.name] = counted
    return CacheStats(tiers, loads.snapshot())


def examine(stack: Stack, stats: CacheStats, outbox: Mapping[str, object]) -> HealthReport:
    """Ask every tier how it is doing; of two parts of a tier, the worse one speaks for both.

    Args:
        stack: The tiers.
        stats: The counts so far.
        outbox: How well the database is heard, which is told with L4.
    """
    reports: dict[CacheTier, TierReport] = {}
    for tier in stack.tiers:
        health = _as_read(tier, tier.check())
        heard = {"outbox": outbox} if outbox and tier.name is CacheTier.L4 else {}
        report = TierReport(
            status=health.status,
            latency_ms=health.latency_ms,
            hit_rate=stats[tier.name].hit_rate,
            error=health.error,
            waiting=tier.waiting if isinstance(tier, GuardedTier) else (),
            server=health.server,
            detail={**health.detail, **heard},
        )
        known = reports.get(tier.name)
        if known is None or known.status is Status.UP:
            reports[tier.name] = report
    return HealthReport(overall([report.status for report in reports.values()]), reports)


def _as_read(tier: MemoryTier | GuardedTier, health: TierHealth) -> TierHealth:
    """Return the health of a tier as reads have found it: one check may be quick where most looks are not."""
    if health.status is not Status.UP or not isinstance(tier, GuardedTier) or not tier.pace.is_slow:
        return health
    return dataclasses.replace(health, status=Status.DEGRADED, error=f"slow: {tier.pace.reason}")


def refuse_unless_up(report: HealthReport) -> None:
    """Make sure that every tier is as it should be.

    Raises:
        TierUnavailableError: If one is not.
    """
    for name, tier in report.tiers.items():
        if tier.status is not Status.UP:
            problem = "is out of reach" if tier.status is Status.DOWN else "is not as it is described"
            raise TierUnavailableError(f"{name} {problem}: {tier.error}")


def measure(stack: Stack) -> dict[CacheTier, TierUsage]:
    """Return what each tier that answers holds; a tier of several parts counts as one."""
    used: dict[CacheTier, TierUsage] = {}
    for tier in stack.tiers:
        found = tier.usage()
        if found is not None:
            known = used.get(tier.name, TierUsage(0, 0))
            used[tier.name] = TierUsage(known.entries + found.entries, known.size + found.size)
    return used
