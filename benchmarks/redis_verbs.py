"""One verb on a Redis, by all caches over it, in turn on one server."""

import argparse
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.redis_clients import Clients
from benchmarks.report import print_times
from benchmarks.timing import compare
from benchmarks.verdicts import Budget, judge_ratios
from greencache.testing import RedisServer

__all__ = ["measure", "show_times"]


def measure(
    options: argparse.Namespace,
    verb: str,
    values: Mapping[str, float],
    call: Callable[[Callable[..., object]], object],
    *,
    calls: int,
    budget: Budget,
) -> dict[str, Any]:
    """Measure a verb of all caches and judge ours.

    Args:
        options: `repeats`, how often each contender is measured.
        verb: "get", "mget" or "mset".
        values: What is in the Redis.
        call: Calls the verb once.
        calls: How often at least in each measurement.
        budget: On the ratio of "greencache" and "redis-py".
    """
    with RedisServer() as server:
        clients = Clients(server.url, values)
        works = clients.works(verb, call, calls)
        times = compare(works, repeats=max(options.repeats, 15), seconds=0.05)
        clients.close()
        version = f"{server.version} ({server.source})"
    return {"server": version, "nanoseconds": times, "budgets": judge_ratios(times, [budget])}


def show_times(title: str, figures: dict[str, Any]) -> None:
    """Print the times per call."""
    print_times(f"{title}; {figures['server']}", figures["nanoseconds"])
