"""Runs measurements, prints them beside those of others, and keeps them as JSON."""

import argparse
import pathlib
import sys
import time
import traceback
from collections.abc import Sequence

from benchmarks import (
    budgets,
    coherence,
    hit_ratios,
    hits,
    redis_get,
    redis_mget,
    redis_mset,
    round_trips,
    stampede,
)
from benchmarks.peers import table as peers
from benchmarks.report import default_folder, keep

BENCHMARKS = {
    "hits": hits,
    "peers": peers,
    "redis_get": redis_get,
    "redis_mget": redis_mget,
    "redis_mset": redis_mset,
    "round_trips": round_trips,
    "stampede": stampede,
    "coherence": coherence,
    "hit_ratios": hit_ratios,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, keep; then print the budgets."""
    options = _parser().parse_args(arguments)
    unknown = set(options.names) - set(BENCHMARKS)
    if unknown:
        _parser().error(f"expected some of {', '.join(BENCHMARKS)}, got {', '.join(sorted(unknown))}")
    verdicts, failures = [], []
    for name in options.names or BENCHMARKS:
        started = time.monotonic()
        try:
            figures = BENCHMARKS[name].run(options)
        except Exception:
            # Such as a server that is not installed: the others have their lines in the table all the same.
            traceback.print_exc()
            failures.append(name)
            continue
        BENCHMARKS[name].show(figures)
        took = time.monotonic() - started
        print(f"{took:.0f} s; kept in {keep(options.output, name, figures)}", flush=True)
        verdicts += budgets.verdicts_of(name, figures)
    if verdicts:
        budgets.show(verdicts)
        kept = [
            keep(options.output, "budgets", {"budgets": verdicts}),
            *budgets.draw(verdicts, options.output),
        ]
        print(f"kept in {', '.join(map(str, kept))}")
    if failures:
        sys.exit(f"FAILED, and not in the table: {', '.join(failures)}; see above why")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"{', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--output", type=pathlib.Path, default=default_folder(), help="folder of the JSON")
    group = parser.add_argument_group("hits, redis_get, redis_mget, redis_mset, peers")
    group.add_argument("--repeats", type=int, default=7, help="how often each is measured")
    group = parser.add_argument_group("stampede")
    group.add_argument("--processes", type=int, default=8)
    group.add_argument("--threads", type=int, default=8, help="of each process")
    group.add_argument("--rounds", type=int, default=10)
    group.add_argument("--load-time", type=float, default=0.2, help="seconds that the loader takes")
    group = parser.add_argument_group("coherence")
    group.add_argument("--readers", type=int, default=2, help="processes that read")
    group.add_argument("--invalidations", type=int, default=200, help="of each kind")
    group = parser.add_argument_group(
        "hit_ratios", "on the traces in the folder that GREENCACHE_TRACES names"
    )
    group.add_argument("--traces", nargs="*", default=[], metavar="trace", help="their names; all by default")
    return parser


if __name__ == "__main__":
    main()
