"""Times several ways of doing one thing in turn, so that a drift of the machine meets them all."""

import gc
import statistics
import time


def compare(contenders, *, repeats=7, seconds=0.2):
    """Return the median nanoseconds per call of each contender.

    Args:
        contenders: Functions without arguments, by name; each returns how many calls it has made.
        repeats: How often each is measured; the contenders take turns.
        seconds: About how long one measurement lasts.
    """
    loops = {name: _loops(work, seconds) for name, work in contenders.items()}
    found = {name: [] for name in contenders}
    gc.disable()
    try:
        for _ in range(repeats):
            for name, work in contenders.items():
                found[name].append(_measure(work, loops[name]))
    finally:
        gc.enable()
    return {name: statistics.median(times) for name, times in found.items()}


def _measure(work, loops):
    started = time.perf_counter()
    calls = sum(work() for _ in range(loops))
    return (time.perf_counter() - started) / calls * 1e9


def _loops(work, seconds):
    started = time.perf_counter()
    work()
    return max(1, round(seconds / (time.perf_counter() - started)))
