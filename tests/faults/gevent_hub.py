"""Measure for how long a cache keeps a gevent hub from running others; print it as JSON.

Run by test_gevent_hub.py in a process of its own, because monkey patching has no way back. A ticking greenlet
notes the time from one tick to the next, without the time for which the system gave the processor to others.
"""

import sys

import gevent
import gevent.monkey

import greencache  # before the patch, which is not yet too late

if sys.argv[1] == "early":
    gevent.monkey.patch_all()

import json
import os
import signal
import time

from tests.faults.loader_client import configured_cache
from tests.faults.stopwatch import processor_waited_for

TICK = 0.001
GREENLETS = 5
REPEATS = 2


class Ticker:
    """Ticks, and remembers the longest time from one tick to the next."""

    def __init__(self):
        self.longest = 0.0

    def run(self):
        """Tick on."""
        last, waited = time.perf_counter(), processor_waited_for()
        while True:
            gevent.sleep(TICK)
            now, by_now = time.perf_counter(), processor_waited_for()
            self.longest = max(self.longest, now - last - TICK - (by_now - waited))
            last, waited = now, by_now


def blocked_during(work):
    """Return the milliseconds for which the hub was kept longest while greenlets worked."""
    ticker = Ticker()
    ticking = gevent.spawn(ticker.run)
    gevent.sleep(0.02)
    ticker.longest = 0.0
    workers = [gevent.spawn(work, index) for index in range(GREENLETS)]
    gevent.joinall(workers, timeout=60, raise_error=True)
    assert all(worker.ready() for worker in workers), "a greenlet is stuck"
    # Its next tick comes now, if it could not tick meanwhile.
    gevent.sleep(2 * TICK)
    ticking.kill()
    return round(1000 * ticker.longest, 3)


def least_blocked_during(work):
    """Return the best of several: what else the machine does can only add."""
    return min(blocked_during(lambda index, turn=turn: work(f"{turn}-{index}")) for turn in range(REPEATS))


def measure(cache, process):
    """Return what was measured in each phase."""

    def load(name):
        for turn in range(40):
            cache.get_or_load(f"{name}-{turn}", lambda: gevent.sleep(0.001))

    def read(_):
        for turn in range(200):
            if turn % 20 == 0:
                cache._engine.stack.memory.clear()
            cache.get(f"0-0-{turn % 40}")

    def forget(name):
        for turn in range(20):
            cache.invalidate(f"{name}-{turn}")

    def block(_):
        gevent.monkey.get_original("time", "sleep")(0.02)

    phases = {"loads": load, "reads": read, "invalidations": forget, "control": block}
    figures = {phase: least_blocked_during(work) for phase, work in phases.items()}
    os.kill(process, signal.SIGSTOP)
    try:
        figures["a hung server"] = least_blocked_during(lambda name: cache.get_or_load(f"hung-{name}", list))
    finally:
        os.kill(process, signal.SIGCONT)
    return figures


def refusal(cache):
    """Return what a cache says that was used before the patch, and whether it still serves from L1."""
    gevent.monkey.patch_all()
    try:
        cache.get("not in L1")
    except greencache.ConfigurationError as error:
        return {"refused": str(error), "serves_l1": cache.get("a") == 1}
    return {"refused": "", "serves_l1": False}


def main(when, process, urls):
    """Return what was measured, or what was refused."""
    with configured_cache(urls, timeout=0.3) as cache:
        cache.set("a", 1)
        return measure(cache, process) if when == "early" else refusal(cache)


if __name__ == "__main__":
    when, process, *addresses = sys.argv[1:]
    figures = main(when, int(process), dict(zip(("l2", "l3", "l4"), addresses, strict=False)))
    sys.stdout.write(json.dumps(figures))
