"""Hit ratios on real traces: each policy of ours, those of others, and the optimum.

N equal entries, no ttl, every miss stored; N is 1, 5, 10 and 25 % of the keys. The folder of the traces is
what GREENCACHE_TRACES names: files of one request a line, first line `# key` or `# key,size,…`.
"""

import argparse
import concurrent.futures
import os
import pathlib
import sys
from array import array
from collections.abc import Callable, Iterator
from typing import Any, Final

from benchmarks.report import print_table
from greencache.policies import POLICIES
from greencache.simulate import Request, read_trace
from greencache.simulate.optimum import Future
from greencache.simulate.spool import Spool

__all__ = ["run", "show"]

_PARTS: Final = (0.01, 0.05, 0.1, 0.25)
_ENDINGS: Final = (".csv", ".txt", ".jsonl", ".gz", ".xz", ".zst")

Replay = Callable[[Iterator["array[int]"]], int]
"""Goes through the requests of a trace and returns how many miss."""


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Replay every trace through every contender.

    Args:
        options: `traces`, names of traces; all in the folder by default.
    """
    folder = os.environ.get("GREENCACHE_TRACES")
    if not folder:
        return {"skipped": "GREENCACHE_TRACES does not name a folder with traces", "traces": {}}
    found = {path.name.partition(".")[0]: path for path in sorted(pathlib.Path(folder).iterdir())}
    paths = {name: path for name, path in found.items() if path.suffix in _ENDINGS}
    chosen = options.traces or sorted(paths)
    # The longest first, so that no core is left alone with it in the end.
    longest_first = sorted(chosen, key=lambda name: -paths[name].stat().st_size)
    with concurrent.futures.ProcessPoolExecutor() as pool:
        replays = {name: pool.submit(_replay_all, name, paths[name]) for name in longest_first}
        return {"traces": {name: replays[name].result() for name in chosen}}


def _replay_all(name: str, path: pathlib.Path) -> dict[str, Any]:
    """Return the hit ratios on one trace, by size and contender."""
    with Spool(Request(request.key) for request in read_trace(path)) as spool:
        future = Future(spool)
        ratios: dict[int, dict[str, float]] = {}
        for size in (int(spool.unique * part) for part in _PARTS):
            print(f"{name}, {size} entries", file=sys.stderr)
            ratios[size] = {
                contender: round(1 - replay(spool.chunks()) / spool.requests, 4)
                for contender, replay in contenders(size).items()
            }
            ratios[size]["optimum"] = round(future.exact(size).hit_ratio, 4)
        future.close()
        return {"requests": spool.requests, "keys": spool.unique, "hit_ratios": ratios}


def contenders(size: int) -> dict[str, Replay]:
    """Return empty caches of a size, ours and those of others that are installed.

    Args:
        size: Entries.
    """
    ours: dict[str, Replay] = {name: _mapping(policy(size)) for name, policy in POLICIES.items()}
    return ours | _cachebox(size) | _theine(size)


def _mapping(cache: Any) -> Replay:
    """Return the replay through a cache that is a mapping."""
    has, hit, store = cache.__contains__, cache.__getitem__, cache.__setitem__

    def replay(chunks: Iterator["array[int]"]) -> int:
        misses = 0
        for keys in chunks:
            for key in keys:
                if has(key):
                    hit(key)
                else:
                    misses += 1
                    store(key, key)
        return misses

    return replay


def _cachebox(size: int) -> dict[str, Replay]:
    try:
        import cachebox
    except ModuleNotFoundError:
        return {}
    return {
        "cachebox LFU": _mapping(cachebox.LFUCache(size)),
        "cachebox LRU": _mapping(cachebox.LRUCache(size)),
    }


def _theine(size: int) -> dict[str, Replay]:
    try:
        from theine import Cache
    except ModuleNotFoundError:
        return {}
    cache: Any = Cache(size)

    def replay(chunks: Iterator["array[int]"]) -> int:
        misses = 0
        for keys in chunks:
            for key in keys:
                if not cache.get(key)[1]:
                    misses += 1
                    cache.set(key, key)
        cache.close()
        return misses

    return {"theine": replay}


def show(figures: dict[str, Any]) -> None:
    """Print a table for each trace, and what the default policy loses to the best of the others."""
    if "skipped" in figures:
        print(f"hit ratios: skipped, {figures['skipped']}")
    for name, trace in figures["traces"].items():
        ratios: dict[int, dict[str, float]] = trace["hit_ratios"]
        names = list(next(iter(ratios.values())))
        rows = [(each, [100 * ratios[size].get(each, 0.0) for size in ratios]) for each in names]
        rows.append(
            ("default, less the best of lru and s3fifo", [100 * _lead(ratios[size]) for size in ratios])
        )
        title = f"hit ratios in %, {name}: {trace['requests']:,} requests for {trace['keys']:,} keys"
        print_table(title, ["entries", *(f"{size:,}" for size in ratios)], rows)


def _lead(ratios: dict[str, float]) -> float:
    return ratios["default"] - max(ratios["lru"], ratios["s3fifo"])
