"""Hits and stores in L1, threads, the event loop's facade, memory and imports: one process, no server."""

import argparse
from typing import Any

from benchmarks import crowds, footprint, l1, stores
from benchmarks.report import print_times
from benchmarks.timing import CPU, compare
from benchmarks.verdicts import judge, judge_ratios

__all__ = ["run", "show"]


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure all contenders and judge the budgets.

    Args:
        options: `repeats`, how often each contender is measured.
    """
    times = compare(l1.contenders(), repeats=options.repeats, seconds=0.05, clock=CPU)
    times |= compare(stores.contenders(), repeats=options.repeats, seconds=0.05, clock=CPU)
    ours, theirs = footprint.entry_bytes("greencache"), footprint.entry_bytes("cachetools")
    threads, facade = crowds.threads_ratio(options.repeats), crowds.facade_ratio(options.repeats)
    imports, heavy = footprint.import_ratio(options.repeats), footprint.heavy_imports()
    return {
        "nanoseconds": times,
        "bytes per entry": {"greencache": round(ours), "cachetools.TTLCache": round(theirs)},
        "heavy imports": heavy,
        "budgets": [
            *judge_ratios(times, l1.BUDGETS),
            *judge_ratios(times, stores.BUDGETS),
            judge("8 threads reading L1", "all / one thread alone", threads, "at least", 0.9),
            judge("asyncio facade, L1 hit", "awaited / blocking", facade, "at most", 1.5),
            judge("memory per L1 entry", "greencache / cachetools.TTLCache", ours / theirs, "at most", 1.0),
            judge("import greencache", "to import cachetools", imports, "at most", 3.0),
            judge("import greencache", "redis, psycopg, pydantic, asyncio", len(heavy), "at most", 0),
        ],
    }


def show(figures: dict[str, Any]) -> None:
    """Print all figures."""
    print_times("hits and stores in L1, CPU time per call", figures["nanoseconds"])
    print(f"\nbytes per entry beside key and value: {figures['bytes per entry']}")
