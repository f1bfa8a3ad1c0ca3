"""A hit in a Redis: one key."""

import argparse
from typing import Any

from benchmarks.redis_verbs import measure, show_times
from benchmarks.verdicts import Budget

__all__ = ["run", "show"]

_KEY = "factor:region0:co2"
_BUDGET = Budget("L2 hit, standalone Redis", "greencache", "redis-py", "at most", 1.1)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure `get`; redis-py decodes the value too."""
    return measure(options, "get", {_KEY: 1.0}, lambda get: get(_KEY), calls=50, budget=_BUDGET)


def show(figures: dict[str, Any]) -> None:
    """Print the times."""
    show_times("redis_get: one key", figures)
