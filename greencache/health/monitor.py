"""Looks after all servers of a process now and then, on one thread."""

import contextlib
import math
import threading
import weakref
from collections.abc import Callable, Sequence

from greencache.backends.redis_report import RedisHealth
from greencache.clock import Clock
from greencache.errors import GreencacheError
from greencache.events import Event, EventKind, Recorder
from greencache.forks import after_fork_in_child
from greencache.health.samples import HealthSample, sample_of
from greencache.tiers.base import Status, TierHealth
from greencache.typing import CacheTier, Seconds

__all__ = ["HOUR", "HealthMonitor", "Watch", "shared_monitor"]

HOUR: Seconds = 3_600.0
_MOST_SAMPLES = 3_600
_SHORTEST_WAIT: Seconds = 0.01
_LONGEST_FAREWELL: Seconds = 1.0

Share = Callable[[CacheTier, Sequence[HealthSample], int], object]
"""Keeps samples of a tier, at most so many, where other processes find them; raises if it cannot."""


class Watch:
    """One cache's interest in one tier.

    Args:
        tier: Which tier.
        place: Where its server is: those who watch the same place share its checks.
        check: Asks how the tier is.
        interval: Seconds between two checks.
        clock: Tells when they are due.
        recorder: Is told of what should not happen.
        share: Keeps what was found for other processes; `None` where there is nothing to keep it in.
        shared_as: What all watches are called that share the same to the same place.
    """

    def __init__(
        self,
        tier: CacheTier,
        place: str,
        check: Callable[[], TierHealth],
        *,
        interval: Seconds,
        clock: Clock,
        recorder: Recorder,
        share: Share | None = None,
        shared_as: str = "",
    ) -> None:
        self.tier = tier
        self.place = place
        self.check = check
        self.interval = interval
        self.clock = clock
        self.recorder = recorder
        self.share = share
        self.shared_as = shared_as


class _Station:
    """One server: when it is to be checked, and what was found in the last hour."""

    def __init__(self, first: Watch) -> None:
        self.watches: list[weakref.ref[Watch]] = []
        self.clock = first.clock
        self.last: Seconds = first.clock.now()
        self.server: RedisHealth | None = None
        self.samples: tuple[HealthSample, ...] = ()
        """Replaced as a whole: who reads them meanwhile has those of before."""
        self._count = 0
        self._shared: dict[str, int] = {}
        self.add(first)

    def add(self, watch: Watch) -> None:
        self.watches.append(weakref.ref(watch))
        self._hurry()

    def remove(self, watch: Watch) -> None:
        self.watches = [each for each in self.watches if each() not in (watch, None)]
        self._hurry()

    def _hurry(self) -> None:
        """Go by the shortest of the intervals."""
        self.interval = min((each.interval for each in self.living()), default=HOUR)
        self.most = min(_MOST_SAMPLES, max(1, math.ceil(HOUR / self.interval)))

    def living(self) -> list[Watch]:
        return [watch for each in self.watches if (watch := each()) is not None]

    def due_in(self) -> Seconds:
        return self.last + self.interval - self.clock.now()

    def begin_anew(self) -> None:
        self.last, self.server = self.clock.now(), None
        self.samples, self._count = (), 0
        self._shared.clear()

    def run(self) -> None:
        """Check the server once, whoever of the living asks, and share what was found."""
        watches = self.living()
        if not watches:
            return
        self.last = self.clock.now()
        health = _checked(watches[0])
        sample = sample_of(health, self.server, self.clock.wall())
        self.samples = (*self.samples, sample)[-self.most :]
        self._count += 1
        self.server = health.server if health.server is not None and health.server.up else self.server
        for watch in {each.shared_as: each for each in watches if each.share is not None}.values():
            self._share(watch)

    def _share(self, watch: Watch) -> None:
        """Share all that was not shared yet: what was found during an outage of the keeper, later."""
        missing = self._count - self._shared.get(watch.shared_as, 0)
        if watch.share is None or missing == 0:
            return
        try:
            watch.share(watch.tier, self.samples[-missing:], self.most)
        except GreencacheError:
            return  # the tier is down, which its own samples tell; tried again with the next
        except Exception as error:
            _note(watch, error)
            return
        self._shared[watch.shared_as] = self._count


class HealthMonitor:
    """Checks servers on one daemon thread, which runs while anybody watches and nothing else depends on.

    A check takes no longer than its tier's deadline, and raises nothing. In a forked child there is no thread
    until the next `ensure_running`, and nothing that the parent has found.
    """

    def __init__(self) -> None:
        self._stations: dict[str, _Station] = {}
        self._forget()
        after_fork_in_child(self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        for station in self._stations.values():
            station.begin_anew()

    def watch(self, watch: Watch) -> None:
        """Check a server from now on, for as long as the watch lives and is not given up."""
        with self._lock:
            station = self._stations.get(watch.place)
            if station is None or not station.living():
                self._stations[watch.place] = _Station(watch)
            else:
                station.add(watch)
        self._wake.set()

    def give_up(self, watches: Sequence[Watch]) -> None:
        """Watch no more; waits a moment for the thread to end if nobody else does."""
        with self._lock:
            for watch in watches:
                station = self._stations.get(watch.place)
                if station is not None:
                    station.remove(watch)
                    if not station.watches:
                        del self._stations[watch.place]
            thread = None if self._stations else self._thread
        self._wake.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_LONGEST_FAREWELL)

    def ensure_running(self) -> None:
        """Start the thread unless it runs; costs next to nothing when it does."""
        if self._thread is not None:
            return
        with self._lock:
            if not self._stations or self._is_started():
                return
            # Made here, so that gevent's patch counts that came after the import.
            self._wake = threading.Event()
            thread = threading.Thread(target=self._run, name="greencache-health", daemon=True)
            self._thread = thread
            try:
                thread.start()
            except (RuntimeError, MemoryError):
                self._thread = None  # none to be had now; the next call tries again

    def _is_started(self) -> bool:
        return self._thread is not None

    def samples(self, place: str) -> tuple[HealthSample, ...]:
        """Return what was found at a place in the last hour, the oldest first."""
        station = self._stations.get(place)
        return station.samples if station is not None else ()

    def last_seen(self, place: str) -> RedisHealth | None:
        """Return what the server at a place said of itself when it was last checked."""
        station = self._stations.get(place)
        return station.server if station is not None else None

    def nudge(self) -> None:
        """Look at the clock again: for clocks that jump."""
        self._wake.set()

    def run_due(self) -> Seconds:
        """Check what is due, one after the other, and return the seconds until something is again."""
        with self._lock:
            stations = list(self._stations.values())
        for station in stations:
            if station.due_in() <= 0:
                # What may fail is noted by the station; here even who takes notes may have failed.
                with contextlib.suppress(Exception):
                    station.run()
        next_due = min((station.due_in() for station in stations), default=HOUR)
        return min(HOUR, max(_SHORTEST_WAIT, next_due))

    def _run(self) -> None:
        wake = self._wake
        try:
            while True:
                wake.clear()
                with self._lock:
                    for place in [p for p, station in self._stations.items() if not station.living()]:
                        del self._stations[place]
                    if not self._stations:
                        # Under the lock: who adds a watch later finds no thread, and starts one.
                        self._thread = None
                        return
                wake.wait(self.run_due())
        finally:
            with self._lock:
                if self._thread is threading.current_thread():
                    self._thread = None


def _checked(watch: Watch) -> TierHealth:
    try:
        return watch.check()
    except Exception as error:
        # A tier of the user's own may raise what it should not; the thread has others to look after.
        _note(watch, error)
        return TierHealth(status=Status.DOWN, error=repr(error))


def _note(watch: Watch, error: Exception) -> None:
    watch.recorder.record(Event(EventKind.BACKGROUND_FAILED, watch.tier, detail={"error": repr(error)}))


_of_process: dict[str, HealthMonitor] = {}


def shared_monitor() -> HealthMonitor:
    """Return the monitor of this process."""
    monitor = _of_process.get("monitor")
    # Made when it is first wanted, since locks must not be older than gevent's patch; `setdefault` lets only
    # one of several threads make the one that counts.
    return monitor if monitor is not None else _of_process.setdefault("monitor", HealthMonitor())
