"""A value is invalidated in one process: how long do the others go on serving it."""

import argparse
import itertools
import sys
from typing import Any, Final

from benchmarks.adapters import SHARING, Sharing
from benchmarks.adapters.base import TAG, why_not
from benchmarks.processes import LONGEST_WAIT, SPAWN, run_together
from benchmarks.readers import OLD, Invalidation, Plan, Sight, invalidate_in_all_rounds, watch_all_rounds
from benchmarks.report import milliseconds, percentiles, print_table
from greencache.testing import RedisServer
from greencache.typing import Seconds

__all__ = ["figures_of", "run", "show"]

WAYS: Final = ("key", "tag")
PAUSES: Final[dict[str, Seconds]] = {"spinning": 0.0, "pausing": 0.0001}
"""What readers do between two reads: nothing, or sleep so long that other threads get their turn."""


def figures_of(invalidations: list[Invalidation], sights: list[list[Sight]]) -> dict[str, Any]:
    """Return what was seen of the invalidations.

    Args:
        invalidations: Of all rounds.
        sights: Of all rounds, for each reader.
    """
    pairs = [(call, sight) for each in sights for call, sight in zip(invalidations, each, strict=True)]
    stale = [sight.stale_reads for _, sight in pairs]
    return {
        "invalidations": len(invalidations),
        "call ms": percentiles(call.returned_at - call.called_at for call in invalidations),
        "gone after ms": percentiles(sight.gone_at - call.called_at for call, sight in pairs),
        "stale reads": sum(stale),
        "sights with stale reads": sum(count > 0 for count in stale),
        "sights": len(pairs),
        "reads per second": round(sum(sight.read_rate for _, sight in pairs) / len(pairs)),
    }


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure all contenders on one Redis.

    Args:
        options: `readers`, how many processes read, and `invalidations`, how many there are of each kind.
    """
    found: dict[str, Any] = {each.name: {"note": each.note} for each in SHARING}
    with RedisServer() as server:
        for way, pausing, contender in itertools.product(WAYS, PAUSES, SHARING):
            plan = Plan(contender, server.url, way, options.invalidations, PAUSES[pausing])
            found[contender.name][f"{way}, {pausing}"] = _measure(plan, server, options.readers)
        settings = {
            "readers": options.readers,
            "invalidations": options.invalidations,
            "pauses": PAUSES,
            "switch_interval_ms": milliseconds(sys.getswitchinterval()),
        }
        return {
            "server": f"{server.version} ({server.source})",
            "settings": settings,
            "contenders": found,
        }


def _measure(plan: Plan, server: RedisServer, readers: int) -> dict[str, Any]:
    reason = plan.contender.lacks.get(plan.way) or why_not(plan.contender, plan.url, _probe)
    if reason is not None:
        return {"not measured": reason}
    server.flush()
    together, acknowledged = SPAWN.Barrier(readers + 1), SPAWN.RawValue("q", -1)
    shared = plan, together, acknowledged
    jobs = [(invalidate_in_all_rounds, shared), *[(watch_all_rounds, shared)] * readers]
    invalidations, *sights = run_together(jobs, deadline=LONGEST_WAIT + 2.0 * plan.rounds)
    return figures_of(invalidations, sights)


def _probe(contender: Sharing) -> None:
    contender.store("probe", OLD)
    assert contender.get("probe") == OLD
    contender.invalidate_key("probe")
    if "tag" not in contender.lacks:
        contender.invalidate_tag(TAG)


def show(figures: dict[str, Any]) -> None:
    """Print a table for each way of invalidation and of reading."""
    settings = figures["settings"]
    print(
        f"\ncoherence: {settings['invalidations']} invalidations each,"
        f" {settings['readers']} other processes read; {figures['server']}\n"
        "gone: from the call of the invalidation to the end of the first read elsewhere that finds it done\n"
        "stale: reads elsewhere that began after the call had returned, and still found the old value;"
        f" each process sees each invalidation: {settings['readers'] * settings['invalidations']} sights"
    )
    header = ("", "gone p50 ms", "p99", "max", "stale reads", "in sights", "call p50 ms", "reads/s")
    for way, pausing in itertools.product(WAYS, PAUSES):
        pause = f" {milliseconds(PAUSES[pausing]):g} ms" if PAUSES[pausing] else ""
        rows = [(name, _row(each[f"{way}, {pausing}"])) for name, each in figures["contenders"].items()]
        print_table(f"by {way}, readers {pausing}{pause}", header, rows)
    for name, each in figures["contenders"].items():
        print(f"  {name}: {each['note']}")
    print(
        "  readers that spin in Python keep the interpreter from the thread that listens"
        f" for {settings['switch_interval_ms']:g} ms at a time (sys.getswitchinterval)"
    )


def _row(figures: dict[str, Any]) -> list[object] | str:
    if "not measured" in figures:
        return str(figures["not measured"])
    return [
        *figures["gone after ms"].values(),
        figures["stale reads"],
        figures["sights with stale reads"],
        figures["call ms"]["p50"],
        figures["reads per second"],
    ]
