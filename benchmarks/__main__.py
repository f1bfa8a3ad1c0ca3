"""Runs all measurements, prints them with their budgets, and keeps them as JSON."""

import argparse
import importlib.metadata
import json
import os
import pathlib
import platform

from benchmarks import l1, redis_hits
from benchmarks.timing import compare
from greencache.testing import RedisServer

LIBRARIES = ("greencache", "cachetools", "cachebox", "dogpile.cache", "redis", "hiredis", "msgspec")


def main():
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=pathlib.Path, help="where to keep the figures")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    times = compare(l1.contenders(), repeats=options.repeats)
    with RedisServer() as server:
        times |= compare(redis_hits.contenders(server.url), repeats=options.repeats)
    verdicts = [judge(times, *budget) for budget in l1.BUDGETS + redis_hits.BUDGETS]
    report(times, verdicts)
    if options.json:
        kept = {"machine": machine(), "nanoseconds": times, "budgets": verdicts}
        options.json.write_text(json.dumps(kept, indent=2))


def judge(times, measured, against, direction, bound):
    """Return whether a ratio of two medians keeps its budget; `None` where one was not measured."""
    if measured not in times or against not in times:
        return {
            "ratio of": measured,
            "to": against,
            "budget": f"{direction} {bound}",
            "found": None,
            "kept": None,
        }
    ratio = times[measured] / times[against]
    kept = ratio <= bound if direction == "at most" else ratio >= bound
    return {
        "ratio of": measured,
        "to": against,
        "budget": f"{direction} {bound}",
        "found": round(ratio, 2),
        "kept": kept,
    }


def report(times, verdicts):
    """Print all figures."""
    for name, nanoseconds in times.items():
        print(f"{name:40} {nanoseconds:12,.0f} ns")
    print()
    for verdict in verdicts:
        word = {True: "pass", False: "MISS", None: "not measured"}[verdict["kept"]]
        print(f"{verdict['ratio of']} / {verdict['to']}: {verdict['found']} ({verdict['budget']}) {word}")


def machine():
    """Return what the figures were measured on."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {"python": platform.python_version(), "cores": os.cpu_count(), "versions": versions}


if __name__ == "__main__":
    main()
