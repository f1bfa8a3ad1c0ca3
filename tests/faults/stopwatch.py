"""Time that a thread took, without the time for which the system gave its processor to somebody else."""

import pathlib
import threading
import time

__all__ = ["Metronome", "processor_waited_for", "seconds_of"]

_SCHEDULED = pathlib.Path("/proc/thread-self/schedstat")


def processor_waited_for():
    """Return the seconds for which this thread could have run and was not let; 0 where nobody counts them."""
    try:
        # Its second figure, in nanoseconds: https://docs.kernel.org/scheduler/sched-stats.html
        return int(_SCHEDULED.read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


def seconds_of(call):
    """Return how long a call takes, as on a machine that nobody else uses."""
    waited = processor_waited_for()
    began = time.perf_counter()
    call()
    elapsed = time.perf_counter() - began
    return max(0.0, elapsed - (processor_waited_for() - waited))


class Metronome:
    """Ticks, and knows for how long the machine has kept it from that: nobody else in the process ran either.

    Left, it ticks no more. Lateness of a few ticks is what threads of one process cost each other anyway.
    """

    _BEAT = 0.01
    _USUAL = 0.03

    def __init__(self):
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._pauses = []

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def without_pauses(self, began, ended):
        """Return the seconds between two moments, less those in which the machine did something else."""
        pauses = [max(0.0, min(end, ended) - max(start, began)) for start, end in list(self._pauses)]
        return ended - began - sum(pauses)

    def _run(self):
        last = time.monotonic()
        while not self._stop.wait(self._BEAT):
            now = time.monotonic()
            if now - last > self._BEAT + self._USUAL:
                self._pauses.append((last + self._BEAT, now))
            last = now
