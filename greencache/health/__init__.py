"""How a cache is doing, now and in the last hour."""

from greencache.health.history import FleetHistory, HealthOptions, HealthWatch
from greencache.health.report import (
    HealthReport,
    TierReport,
    count,
    examine,
    measure,
    overall,
    refuse_unless_up,
)
from greencache.health.samples import HealthSample

__all__ = [
    "FleetHistory",
    "HealthOptions",
    "HealthReport",
    "HealthSample",
    "HealthWatch",
    "TierReport",
    "count",
    "examine",
    "measure",
    "overall",
    "refuse_unless_up",
]
