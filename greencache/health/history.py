"""How the tiers of one cache were in the last hour."""

import dataclasses
from collections.abc import Mapping, Sequence

from greencache.clock import Clock
from greencache.events import Recorder
from greencache.health.monitor import HOUR, HealthMonitor, Watch, shared_monitor
from greencache.health.report import HealthReport, TierReport, overall
from greencache.health.samples import HealthSample, hit_rate_since, read_line, to_line
from greencache.health.sources import HistoryKeeping, Located, Probing
from greencache.options import check_duration
from greencache.tiers.base import Status, Tier, TierHealth
from greencache.tiers.stack import Stack
from greencache.typing import CacheTier, Seconds

__all__ = ["FleetHistory", "HealthOptions", "HealthWatch"]

FleetHistory = Mapping[str, Mapping[CacheTier, Sequence[HealthSample]]]
"""What processes have found, by "host:pid" and tier."""


@dataclasses.dataclass(frozen=True, slots=True)
class HealthOptions:
    """How a cache looks after its servers.

    Args:
        interval: Seconds between two checks in the background; 0 for none.
        max_latency: Seconds that an answer may take; a tier that takes longer is degraded.

    Raises:
        InvalidOptionError: If one is negative.
    """

    interval: Seconds = 30.0
    max_latency: Seconds = 0.1

    def __post_init__(self) -> None:
        check_duration("interval", self.interval)
        check_duration("max_latency", self.max_latency)


class HealthWatch:
    """Has the tiers of one cache checked in the background, and others on the same servers with them.

    Args:
        stack: The tiers.
        namespace: Of the cache.
        options: How often, and what is slow.
        clock: Where the time comes from.
        recorder: Is told of what should not happen.
        monitor: Does the work; that of the process unless given.
    """

    def __init__(
        self,
        stack: Stack,
        namespace: str,
        options: HealthOptions,
        *,
        clock: Clock,
        recorder: Recorder,
        monitor: HealthMonitor | None = None,
    ) -> None:
        self._max_latency = options.max_latency
        keepers = [tier.tier for tier in stack.shared if isinstance(tier.tier, HistoryKeeping)]
        self._keeper: HistoryKeeping | None = keepers[-1] if keepers else None
        parts: dict[CacheTier, list[Tier]] = {}
        for guarded in stack.shared if options.interval else ():
            parts.setdefault(guarded.name, []).append(guarded.tier)
        keeper = _place_of(keepers[-1]) if keepers else ""
        self._watches = {
            name: Watch(
                name,
                _place_of(tiers[0]),
                lambda tiers=tiers: self._examine(tiers),  # type: ignore[misc]
                interval=options.interval,
                clock=clock,
                recorder=recorder,
                share=self._share if keepers else None,
                shared_as=f"{keeper} {namespace} {name.name}",
            )
            for name, tiers in parts.items()
        }
        self._given_monitor = monitor
        self._monitor: HealthMonitor | None = None

    def start(self) -> None:
        """Begin, or go on in a forked child; costs next to nothing when it runs."""
        if self._monitor is None:
            if not self._watches:
                return
            monitor = self._given_monitor or shared_monitor()
            for watch in self._watches.values():
                monitor.watch(watch)
            self._monitor = monitor
        self._monitor.ensure_running()

    def close(self) -> None:
        """Watch no more; what was found is gone."""
        monitor, watches = self._monitor, list(self._watches.values())
        self._watches = {}
        if monitor is not None:
            monitor.give_up(watches)

    def history(self) -> dict[CacheTier, tuple[HealthSample, ...]]:
        """Return what this process has found in the last hour, the oldest first."""
        monitor = self._monitor
        if monitor is None:
            return dict.fromkeys(self._watches, ())
        return {name: monitor.samples(watch.place) for name, watch in self._watches.items()}

    def fleet_history(self) -> FleetHistory:
        """Return what all processes of the namespace that share a Redis have found in the last hour."""
        if self._keeper is None:
            return {}
        return {
            process: {tier: _read(lines) for tier, lines in tiers.items()}
            for process, tiers in self._keeper.read_history().items()
        }

    def complete(self, report: HealthReport) -> HealthReport:
        """Return a report with what only comparing tells: which tier is slow, and the hit rate of late."""
        tiers = {name: self._completed(name, each) for name, each in report.tiers.items()}
        return HealthReport(overall([each.status for each in tiers.values()]), tiers)

    def _completed(self, name: CacheTier, report: TierReport) -> TierReport:
        watch, server = self._watches.get(name), report.server
        before = self._monitor.last_seen(watch.place) if self._monitor is not None and watch else None
        if before is not None and server is not None:
            report = dataclasses.replace(report, recent_hit_rate=hit_rate_since(before, server))
        slow = self._slowness(report.status, report.latency_ms)
        if slow:
            report = dataclasses.replace(report, status=Status.DEGRADED, error=slow)
        return report

    def _examine(self, parts: Sequence[Tier]) -> TierHealth:
        """Return the health of a tier; of several parts, the first that is not well speaks for all."""
        healths = [part.probe() if isinstance(part, Probing) else part.check() for part in parts]
        health = next((each for each in healths if each.status is not Status.UP), healths[0])
        slow = self._slowness(health.status, health.latency_ms)
        return dataclasses.replace(health, status=Status.DEGRADED, error=slow) if slow else health

    def _slowness(self, status: Status, latency_ms: float | None) -> str:
        limit = 1_000 * self._max_latency
        if status is not Status.UP or latency_ms is None or latency_ms <= limit:
            return ""
        return f"it takes {latency_ms:.0f} ms for an answer, more than {limit:g} ms"

    def _share(self, tier: CacheTier, samples: Sequence[HealthSample], most: int) -> None:
        if self._keeper is not None:
            self._keeper.append_history(tier, [to_line(each) for each in samples], most=most, longest=HOUR)


def _place_of(tier: object) -> str:
    # A tier that does not say where it is, is somewhere of its own.
    return tier.place if isinstance(tier, Located) else f"{type(tier).__name__} {id(tier):x}"


def _read(lines: Sequence[str]) -> tuple[HealthSample, ...]:
    """Return samples in the order of time, each once: what was sent twice was stored twice."""
    found = {sample.at: sample for line in lines if (sample := read_line(line)) is not None}
    return tuple(found[at] for at in sorted(found))
