"""Times several ways of doing one thing in turn, so that a drift of the machine meets them all."""

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from greencache.typing import Seconds

__all__ = ["CPU", "WALL", "Work", "compare"]

Work: TypeAlias = Callable[[], int]
"""Does a thing many times and returns how many."""

CPU: Final = time.thread_time
"""For what only computes: other programs on the machine take their share of the clock, not of this."""
WALL: Final = time.perf_counter
"""For what waits, for a server or for other threads."""


def compare(
    contenders: Mapping[str, Work],
    *,
    repeats: int = 7,
    seconds: Seconds = 0.2,
    clock: Callable[[], Seconds] = WALL,
) -> dict[str, float]:
    """Return the median nanoseconds per call of each contender.

    Args:
        contenders: Functions without arguments, by name; each returns how many calls it has made.
        repeats: How often each is measured; the contenders take turns.
        seconds: About how long one measurement lasts.
        clock: What the time is read on.
    """
    loops = {name: _loops(work, seconds) for name, work in contenders.items()}
    found: dict[str, list[float]] = {name: [] for name in contenders}
    gc.disable()
    try:
        for _ in range(repeats):
            for name, work in contenders.items():
                found[name].append(_measure(work, loops[name], clock))
    finally:
        gc.enable()
    return {name: statistics.median(times) for name, times in found.items()}


def _measure(work: Work, loops: int, clock: Callable[[], Seconds]) -> float:
    started = clock()
    calls = sum(work() for _ in range(loops))
    return (clock() - started) / calls * 1e9


def _loops(work: Work, seconds: Seconds) -> int:
    work()  # which fills caches, and tells the interpreter what to specialise for
    started = time.perf_counter()
    work()
    return max(1, round(seconds / (time.perf_counter() - started)))
