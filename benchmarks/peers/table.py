"""L1 beside everybody: hits, stores, memory, threads, gevent, imports, and hits in a storm of evictions."""

import argparse
import json
import subprocess
import sys
from typing import Any, Final

from benchmarks.peers import PEERS, Peer
from benchmarks.peers.alone import WHAT
from benchmarks.peers.work import SIZE, creations, evictions, hits
from benchmarks.report import print_table
from benchmarks.timing import Work, compare

__all__ = ["run", "show"]

_WORK: Final = {"hit": hits, "get_or_create": creations, "set": evictions}
_SYNC_ONLY: Final = {"threads", "gevent", "storm"}
_IMPORT: Final = "import time; t = time.perf_counter(); import {}; print(1e3 * (time.perf_counter() - t))"


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure all peers.

    Args:
        options: `repeats`, how often each is timed.
    """
    found: dict[str, dict[str, Any]] = {}
    opened: list[Peer] = []
    works: dict[str, dict[str, Work]] = {what: {} for what in _WORK}
    for kind in PEERS:
        found[kind.name] = {"note": kind.note}
        try:
            for what, make in _WORK.items():
                opened.append(kind(SIZE))
                work = make(opened[-1])
                if work is not None:
                    works[what][kind.name] = work
        except Exception as error:
            # Whatever keeps it from working is what the table is to say.
            found[kind.name]["not measured"] = f"{type(error).__name__}: {error}"
    for what, contenders in works.items():
        usable = {name: work for name, work in contenders.items() if "not measured" not in found[name]}
        for name, time in compare(usable, repeats=options.repeats, seconds=0.1).items():
            found[name][f"{what} ns"] = time
    for peer in opened:
        peer.close()
    for kind in PEERS:
        if "not measured" not in found[kind.name]:
            found[kind.name] |= _apart(kind)
    return {"entries": SIZE, "peers": found}


def _apart(kind: type[Peer]) -> dict[str, Any]:
    """Return what is measured in processes of their own."""
    chosen = [what for what in ("import", *WHAT) if not (kind.is_awaited and what in _SYNC_ONLY)]
    return {what: _alone(what, kind) for what in chosen if what != "storm" or kind.is_bounded}


def _alone(what: str, kind: type[Peer]) -> Any:
    command = [sys.executable, "-m", "benchmarks.peers.alone", what, kind.name]
    if what == "import":
        command = [sys.executable, "-c", _IMPORT.format(kind.module)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    except subprocess.SubprocessError as error:
        return f"not measured: {type(error).__name__}"
    return json.loads(done.stdout.splitlines()[-1])


def show(figures: dict[str, Any]) -> None:
    """Print one table."""
    header = (
        "", "hit ns", "or create", "set, evict", "B an entry", "8 threads", "gevent ns", "import ms",
        "storm p99", "storm max",
    )  # fmt: skip
    rows = [(name, _row(each)) for name, each in figures["peers"].items()]
    print_table(f"peers: caches of {figures['entries']:,} entries, in memory", header, rows)
    print(
        "set, evict: a new key in a full cache; B an entry: growth of the process beside key and value\n"
        "8 threads: hits together, as a multiple of one thread's; storm: ms of a hit while three evict"
    )
    for name, each in figures["peers"].items():
        if each["note"]:
            print(f"  {name}: {each['note']}")


def _row(each: dict[str, Any]) -> list[object] | str:
    if "not measured" in each:
        return f"not measured: {each['not measured']}"
    storm = each.get("storm") or {}
    storm = storm if isinstance(storm, dict) else {}
    values = [*(each.get(f"{what} ns") for what in _WORK)]
    values += [each.get(what) for what in ("memory", "threads", "gevent", "import")]
    cells: list[object] = [value if isinstance(value, float) else None for value in values]
    return [*cells, storm.get("p99"), storm.get("max")]
