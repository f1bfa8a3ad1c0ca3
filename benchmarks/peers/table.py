"""L1 beside everybody: hits, stores, memory, threads, gevent, imports, and hits in a storm of evictions."""

import argparse
import json
import subprocess
import sys
import time
from typing import Any, Final

from benchmarks.peers import PEERS, Peer
from benchmarks.peers.alone import TIMED, WHAT
from benchmarks.peers.work import SIZE
from benchmarks.report import print_table
from greencache.typing import Seconds

__all__ = ["run", "show"]

_DEADLINE: Final[Seconds] = 60.0
"""For all that is measured of one peer; most take ten."""
_SYNC_ONLY: Final = {"threads", "gevent", "storm"}
_IMPORT: Final = "import time; t = time.perf_counter(); import {}; print(1e3 * (time.perf_counter() - t))"


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure all peers, each in processes of its own: one that fails or hangs is a finding about it alone.

    Args:
        options: `repeats`, how often each is timed.
    """
    return {"entries": SIZE, "peers": {kind.name: _figures(kind, options.repeats) for kind in PEERS}}


def _figures(kind: type[Peer], repeats: int) -> dict[str, Any]:
    """Return what was found of a peer, and by "not measured" why nothing, or not all, was."""
    found: dict[str, Any] = {"note": kind.note}
    end = time.monotonic() + _DEADLINE
    for what in _chosen(kind):
        try:
            found[what] = _alone(what, kind, repeats, end - time.monotonic())
        except subprocess.TimeoutExpired:
            return found | {"not measured": f"{what} and what follows: over {_DEADLINE:.0f} s"}
        except subprocess.CalledProcessError as error:
            reason = (error.stderr.strip() or f"exit {error.returncode}").splitlines()[-1]
            return found | {"not measured": f"{what} and what follows: {reason}"}
    return found


def _chosen(kind: type[Peer]) -> list[str]:
    """Return what can be measured of a peer, what its row needs first."""
    chosen = ["times", "import", *WHAT]
    return [
        what
        for what in chosen
        if not (kind.is_awaited and what in _SYNC_ONLY) and (what != "storm" or kind.is_bounded)
    ]


def _alone(what: str, kind: type[Peer], repeats: int, timeout: Seconds) -> Any:
    command = [sys.executable, "-m", "benchmarks.peers.alone", what, kind.name, str(repeats)]
    if what == "import":
        command = [sys.executable, "-c", _IMPORT.format(kind.module)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=max(0.0, timeout), check=True)
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
        "ns: of computing, not of waiting for a disk; set, evict: a new key in a full cache\n"
        "B an entry: growth of the process beside key and value\n"
        "8 threads: hits together, as a multiple of one thread's; storm: ms of a hit while three evict"
    )
    for name, each in figures["peers"].items():
        if each["note"]:
            print(f"  {name}: {each['note']}")
    for name, each in figures["peers"].items():
        if "not measured" in each:
            print(f"  FAILED {name}: {each['not measured']}")


def _row(each: dict[str, Any]) -> list[object] | str:
    if "times" not in each:
        return f"not measured: {each['not measured']}"
    storm = each.get("storm") or {}
    values = [*(each["times"].get(what) for what in TIMED)]
    values += [each.get(what) for what in ("memory", "threads", "gevent", "import")]
    return [*values, storm.get("p99"), storm.get("max")]
