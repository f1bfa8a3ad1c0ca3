"""How a cache is doing, now and in the last hour."""

from greencache.health.report import (
    HealthReport,
    TierReport,
    count,
    examine,
    measure,
    overall,
    refuse_unless_up,
)

__all__ = ["HealthReport", "TierReport", "count", "examine", "measure", "overall", "refuse_unless_up"]
