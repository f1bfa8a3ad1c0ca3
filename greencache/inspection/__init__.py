"""Looks that change nothing: why a key is served as it is, and what an invalidation would remove."""

from greencache.inspection.dry_run import count_invalidated
from greencache.inspection.explainer import Explainer
from greencache.inspection.explanation import Explanation
from greencache.inspection.findings import (
    BreakerFinding,
    BusFinding,
    EntryFinding,
    FlightFinding,
    Freshness,
    ReadFinding,
    StampFinding,
    TierFinding,
)

__all__ = [
    "BreakerFinding",
    "BusFinding",
    "EntryFinding",
    "Explainer",
    "Explanation",
    "FlightFinding",
    "Freshness",
    "ReadFinding",
    "StampFinding",
    "TierFinding",
    "count_invalidated",
]
