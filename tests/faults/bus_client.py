"""A process that does nothing but read one key through a cache, and can be stopped in the middle of it."""

import sys
import threading
import time
from typing import NamedTuple

from greencache import CacheManager
from greencache.testing import wait_until
from tests.faults.child import Child, peak_memory

__all__ = ["KEY", "NAMESPACE", "TAG", "Client", "Report", "Run"]

KEY, TAG, NAMESPACE = "user:1", "users", "bus-faults"


class Run(NamedTuple):
    """Reads in a row with the same outcome; times in seconds of the machine's monotonic clock.

    Args:
        version: What they returned.
        is_hit: Whether L1 vouched for it.
        first: When the first of them began.
        last: When the last of them began; of all of them it is the one that may least be old.
    """

    version: int
    is_hit: bool
    first: float
    last: float


class Report(NamedTuple):
    """What a client has seen.

    Args:
        runs: Its reads.
        events: Kind and time of each event that its cache has recorded.
        degraded: How many values its L1 served past its time, because the authority was out of reach.
        memory: The most bytes of memory that it has held.
    """

    runs: list[Run]
    events: list[tuple[str, float]]
    degraded: int
    memory: int


class Client(Child):
    """The parent's end of such a process.

    Args:
        urls: Of its cache.
        source: The version that its loader returns.
    """

    def __init__(self, urls, source):
        super().__init__(_run, urls, source)
        self.memory_when_paused = 0
        """The most bytes of memory that it had held when it was last paused."""

    def report(self):
        """Return what it has seen so far."""
        return self.ask("report")

    def await_hit(self, version, deadline=40):
        """Wait until L1 returns a version."""

        def is_hit():
            *_, last = self.report().runs
            return last.is_hit and last.version == version

        wait_until(is_hit, deadline=deadline, interval=0.02, reason=f"version {version} is read from L1")

    def pause(self):
        """Stop it, wherever its threads are; when it wakes, the reader goes on before the listener can."""
        self.memory_when_paused = self.ask("keep reading").memory
        super().pause()


class _Reader:
    def __init__(self, urls, source):
        self.events = []
        self._runs = [Run(-1, False, 0.0, 0.0)]
        self._source = source
        self._cache = CacheManager.from_urls(**urls, namespace=NAMESPACE, recorder=self)
        self._cache.initialize(strict=True)
        threading.Thread(target=self._read_on, daemon=True).start()

    def record(self, event):
        self.events.append((event.kind.value, time.monotonic()))

    def report(self):
        degraded = self._cache.get_stats().loads.degraded
        return Report(list(self._runs), list(self.events), degraded, peak_memory())

    def _read_on(self):
        counters = self._cache._engine.memory_counters
        while True:
            hits = counters.hits
            start = time.monotonic()
            version = self._cache.get_or_load(KEY, self._load, tags=[TAG])
            is_hit = counters.hits > hits
            last = self._runs[-1]
            if (last.version, last.is_hit) == (version, is_hit):
                # Replaced as a whole: the other thread reads it.
                self._runs[-1] = last._replace(last=start)
            else:
                self._runs.append(Run(version, is_hit, start, start))

    def _load(self):
        return self._source.value


def _run(pipe, urls, source):
    reader = _Reader(urls, source)
    pipe.send("ready")
    while True:
        (question,) = pipe.recv()
        if question == "keep reading":
            # The reader nearly always has the interpreter when the process is stopped; so it keeps it.
            sys.setswitchinterval(0.05)
        pipe.send(reader.report())
