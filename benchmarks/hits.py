"""Hits of one thread: in memory, and in a Redis."""

import argparse
from typing import Any

from benchmarks import l1, redis_hits
from benchmarks.timing import Budget, compare
from greencache.testing import RedisServer

__all__ = ["run", "show"]


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure all contenders and judge the budgets.

    Args:
        options: `repeats`, how often each contender is measured.
    """
    times = compare(l1.contenders(), repeats=options.repeats)
    with RedisServer() as server:
        times |= compare(redis_hits.contenders(server.url), repeats=options.repeats)
    return {
        "nanoseconds": times,
        "budgets": [_judge(times, budget) for budget in l1.BUDGETS + redis_hits.BUDGETS],
    }


def _judge(times: dict[str, float], budget: Budget) -> dict[str, Any]:
    """Return whether a ratio of two medians keeps its budget; `None` where one was not measured."""
    measured, against, direction, bound = budget
    verdict: dict[str, Any] = {"ratio of": measured, "to": against, "budget": f"{direction} {bound}"}
    if measured not in times or against not in times:
        return verdict | {"found": None, "kept": None}
    ratio = times[measured] / times[against]
    kept = ratio <= bound if direction == "at most" else ratio >= bound
    return verdict | {"found": round(ratio, 2), "kept": kept}


def show(figures: dict[str, Any]) -> None:
    """Print all figures."""
    for name, nanoseconds in figures["nanoseconds"].items():
        print(f"{name:40} {nanoseconds:12,.0f} ns")
    print()
    for verdict in figures["budgets"]:
        word = {True: "pass", False: "MISS", None: "not measured"}[verdict["kept"]]
        print(f"{verdict['ratio of']} / {verdict['to']}: {verdict['found']} ({verdict['budget']}) {word}")
