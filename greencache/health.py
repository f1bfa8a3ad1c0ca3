"""What a health check returns."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from greencache.tiers.base import Status
from greencache.typing import CacheTier

__all__ = ["HealthReport", "TierReport", "overall"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TierReport:
    """How one tier is doing.

    Args:
        status: Whether it answers.
        latency_ms: Milliseconds that the answer took; `None` when there was none.
        hit_rate: Part of this process's lookups that it answered, between 0 and 1.
        error: Why it is not up; empty when it is.
        waiting: Drops that are queued for it.
        detail: What the server says of itself.
    """

    status: Status
    latency_ms: float | None
    hit_rate: float
    error: str = ""
    waiting: tuple[str, ...] = ()
    detail: Mapping[str, object] = dataclasses.field(default_factory=dict)


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
        tiers = {tier.name: dataclasses.asdict(report) for tier, report in self.tiers.items()}
        return {"status": self.status.value, "tiers": tiers}


def overall(statuses: list[Status]) -> Status:
    """Return the status of a whole from the statuses of its parts."""
    if all(status is Status.UP for status in statuses):
        return Status.UP
    return Status.DOWN if all(status is Status.DOWN for status in statuses) else Status.DEGRADED
