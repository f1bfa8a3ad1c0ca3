"""A hundred hits in a Redis, at once."""

import argparse
from typing import Any

from benchmarks.redis_verbs import measure, show_times
from benchmarks.verdicts import Budget

__all__ = ["run", "show"]

_VALUES = {f"factor:region{number}:co2": 1.0 for number in range(100)}
_BUDGET = Budget("mget of 100 from Redis", "greencache", "redis-py", "at most", 1.15)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure `mget`; redis-py decodes the values too."""
    return measure(options, "mget", _VALUES, lambda mget: mget(list(_VALUES)), calls=5, budget=_BUDGET)


def show(figures: dict[str, Any]) -> None:
    """Print the times."""
    show_times("redis_mget: 100 keys", figures)
