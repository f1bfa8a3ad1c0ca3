"""Ten thousand values into a Redis, at once."""

import argparse
from typing import Any

from benchmarks.redis_verbs import measure, show_times
from benchmarks.verdicts import Budget

__all__ = ["run", "show"]

_VALUES = {f"factor:region{number}:co2": 1.0 for number in range(10_000)}
_BUDGET = Budget("mset of 10,000", "redis-py", "greencache", "at least", 0.9)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure `mset`, beside a pipeline written by hand that encodes the values and gives them a ttl."""
    return measure(options, "mset", _VALUES, lambda mset: mset(_VALUES), calls=1, budget=_BUDGET)


def show(figures: dict[str, Any]) -> None:
    """Print the times."""
    show_times("redis_mset: 10,000 keys", figures)
