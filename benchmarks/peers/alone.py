"""Measures one peer in a process of its own: `python -m benchmarks.peers.alone WHAT NAME [REPEATS]`.

Prints JSON. What a peer leaves behind, keeps waiting or breaks is so no business of the others.
"""

import json
import os
import pathlib
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

if "gevent" in sys.argv[1:2]:
    # Before anything else is imported, as programs do that are served by gevent.
    import gevent.monkey

    gevent.monkey.patch_all()

from benchmarks.peers import PEERS, Peer
from benchmarks.peers.work import SIZE, creations, evictions, fill, hits
from benchmarks.report import percentiles
from benchmarks.timing import compare

__all__ = ["TIMED", "WHAT", "main"]

TIMED: Final = {"hit": hits, "get_or_create": creations, "set": evictions}

_ENTRIES: Final = 40_000
_THREADS: Final = 8
_READS: Final = 40_000
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def _times(peer: type[Peer], repeats: int) -> dict[str, float]:
    """Return the nanoseconds per call of each kind of work, in the time that the process computes."""
    # Held until all are measured: one that has gone may leave its name, and with it its entries, to the next.
    made = {what: peer(SIZE) for what in TIMED}
    works = {what: make(made[what]) for what, make in TIMED.items()}
    known = {what: work for what, work in works.items() if work is not None}
    return compare(known, repeats=repeats, seconds=0.1, clock=time.process_time)


def _memory(peer: type[Peer]) -> float:
    """Return the bytes by which the process grows with each entry, its key and its value not counted."""
    keys = [f"factor:region{number}:co2" for number in range(_ENTRIES + 1_000)]
    made = peer(2 * _ENTRIES)
    fill(made, keys[:1_000])
    before = _resident()
    fill(made, keys[1_000:])
    return (_resident() - before) / _ENTRIES


def _resident() -> int:
    shared = pathlib.Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(shared[1]) * _PAGE


def _threads(peer: type[Peer]) -> float:
    """Return how many hits eight threads have together in the time in which one has one."""
    work = hits(peer(SIZE)) or _nothing
    return _rate(work, _THREADS) / _rate(work, 1)


def _gevent(peer: type[Peer]) -> float:
    """Return the nanoseconds of a hit under gevent, with greenlets that take turns."""
    return 1e9 / _rate(hits(peer(SIZE)) or _nothing, _THREADS)


def _rate(work: Callable[[], int], threads: int) -> float:
    rounds = max(1, _READS // work() // threads)

    def read() -> None:
        for _ in range(rounds):
            work()
            time.sleep(0)

    crowd = [threading.Thread(target=read) for _ in range(threads)]
    started = time.perf_counter()
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    return rounds * threads * work() / (time.perf_counter() - started)


def _storm(peer: type[Peer]) -> dict[str, float] | None:
    """Return the milliseconds that a hit takes while others store new entries, each of which evicts one."""
    made = peer(SIZE)
    storing = [evictions(made) for _ in range(3)]
    get: Callable[[str], object] = made.get or _nobody
    is_over, waits = threading.Event(), []

    def store(work: Callable[[], int]) -> None:
        while not is_over.is_set():
            work()

    crowd = [threading.Thread(target=store, args=(work,)) for work in storing if work is not None]
    for thread in crowd:
        thread.start()
    end = time.perf_counter() + 1.0
    while (started := time.perf_counter()) < end:
        get("new:1")
        waits.append(time.perf_counter() - started)
    is_over.set()
    for thread in crowd:
        thread.join()
    return percentiles(waits) if crowd else None


def _nothing() -> int:
    return 1


def _nobody(_: str) -> None:
    return None


WHAT: Final[dict[str, Callable[[type[Peer]], Any]]] = {
    "memory": _memory,
    "threads": _threads,
    "gevent": _gevent,
    "storm": _storm,
}
"""What is measured beside times; the last three not of what is awaited."""


def main() -> None:
    """Measure, print."""
    what, name, *repeats = sys.argv[1:]
    peer = next(peer for peer in PEERS if peer.name == name)
    print(json.dumps(_times(peer, int(repeats[0])) if what == "times" else WHAT[what](peer)))
    sys.stdout.flush()
    os._exit(0)  # some leave threads and tasks behind, which are no part of what was measured


if __name__ == "__main__":
    main()
