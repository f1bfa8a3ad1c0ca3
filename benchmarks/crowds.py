"""Eight threads that read L1, beside one; and the event loop's facade beside the blocking cache."""

import asyncio
import statistics
import threading
import time
from collections.abc import Callable
from typing import Final

from benchmarks.l1 import KEYS
from benchmarks.timing import CPU
from greencache import CacheManager
from greencache.aio import CacheManager as AsyncCacheManager

__all__ = ["facade_ratio", "threads_ratio"]

_THREADS: Final = 8
_ROUNDS: Final = 200


def threads_ratio(repeats: int) -> float:
    """Return the reads a second of eight threads together, as a multiple of one thread's; a median.

    Args:
        repeats: How often both are measured, in turn.
    """
    manager = CacheManager()
    manager.mset(dict.fromkeys(KEYS, 1.0), ttl=None)
    ratios = [_rate(manager.get, _THREADS) / _rate(manager.get, 1) for _ in range(repeats)]
    return statistics.median(ratios)


def _rate(read: Callable[[str], object], threads: int) -> float:
    rounds = _ROUNDS // threads
    together = threading.Barrier(threads + 1)

    def work() -> None:
        together.wait()
        for _ in range(rounds):
            for key in KEYS:
                read(key)

    crowd = [threading.Thread(target=work) for _ in range(threads)]
    for thread in crowd:
        thread.start()
    # Of the whole process: how long others let it wait for a core says nothing about locks.
    started = time.process_time()
    together.wait()
    for thread in crowd:
        thread.join()
    return threads * rounds * len(KEYS) / (time.process_time() - started)


def facade_ratio(repeats: int) -> float:
    """Return what an awaited hit takes, as a multiple of a blocking one's time; a median of both in turn."""
    with CacheManager() as blocking:
        blocking.mset(dict.fromkeys(KEYS, 1.0), ttl=None)
        return asyncio.run(_facade_ratio(blocking, repeats))


async def _facade_ratio(blocking: CacheManager, repeats: int) -> float:
    ratios = []
    async with AsyncCacheManager() as facade:
        await facade.mset(dict.fromkeys(KEYS, 1.0), ttl=None)
        for _ in range(repeats + 1):
            started = CPU()
            for _ in range(_ROUNDS // 4):
                for key in KEYS:
                    await facade.get(key)
            between = CPU()
            for _ in range(_ROUNDS // 4):
                for key in KEYS:
                    blocking.get(key)
            ratios.append((between - started) / (CPU() - between))
    return statistics.median(ratios[1:])
