"""One thread of a process that checks each server once in an interval."""

import gc
import os
import threading

import pytest

from greencache.errors import TierUnavailableError
from greencache.events import EventKind
from greencache.health.monitor import HealthMonitor, Watch
from greencache.testing import FakeClock, wait_until
from greencache.tiers.base import Status, TierHealth
from greencache.typing import CacheTier


class Notes:
    """Keeps events."""

    def __init__(self):
        self.events = []

    def record(self, event):
        """Keep one."""
        self.events.append(event)


class Server:
    """Counts its checks, and does what a test wants in them."""

    def __init__(self):
        self.checks = 0
        self.inside = None

    def check(self):
        """Count it."""
        self.checks += 1
        if self.inside is not None:
            self.inside()
        return TierHealth(status=Status.UP, latency_ms=float(self.checks))


class Scene:
    """A monitor, a clock, a server, and what was shared."""

    def __init__(self):
        self.clock = FakeClock()
        self.monitor = HealthMonitor()
        self.server = Server()
        self.notes = Notes()
        self.shared = []
        self.watches = []

    def watch(self, place="here", interval=30.0, check=None, **options):
        """Watch a server."""
        watch = Watch(
            CacheTier.L3,
            place,
            check or self.server.check,
            interval=interval,
            clock=self.clock,
            recorder=self.notes,
            **options,
        )
        self.watches.append(watch)
        self.monitor.watch(watch)
        return watch

    def share(self, tier, samples, most):
        """Keep what is shared."""
        self.shared.append((tier, [sample.latency_ms for sample in samples], most))

    def pass_time(self, seconds):
        """Let time pass, and do what is due then."""
        self.clock.advance(seconds)
        return self.monitor.run_due()


@pytest.fixture
def scene():
    """A scene whose thread has ended when the test has."""
    scene = Scene()
    yield scene
    scene.monitor.give_up(scene.watches)


def test_a_server_is_checked_once_in_an_interval(scene):
    """For the first time after one; what is told is how long there is nothing to do."""
    scene.watch()
    assert scene.monitor.run_due() == 30.0
    assert scene.pass_time(29.0) == pytest.approx(1.0)
    assert scene.server.checks == 0
    assert scene.pass_time(1.0) == 30.0
    assert scene.server.checks == 1
    (sample,) = scene.monitor.samples("here")
    assert (sample.at, sample.status, sample.latency_ms) == (scene.clock.wall(), Status.UP, 1.0)


def test_many_watches_of_a_server_are_one_check(scene):
    """By the shortest of their intervals, until that one is given up."""
    scene.watch()
    hasty = scene.watch(interval=10.0)
    scene.watch(place="elsewhere")
    assert scene.pass_time(10.0) == 10.0
    assert scene.server.checks == 1
    scene.pass_time(20.0)
    assert scene.server.checks == 3  # here and elsewhere
    scene.monitor.give_up([hasty])
    scene.pass_time(29.0)
    assert scene.server.checks == 3
    assert len(scene.monitor.samples("here")) == 2


def test_the_last_hour_is_kept(scene):
    """120 samples at 30 s, the oldest first."""
    scene.watch()
    for _ in range(150):
        scene.pass_time(30.0)
    samples = scene.monitor.samples("here")
    assert len(samples) == 120
    assert samples[-1].at - samples[0].at == 119 * 30
    assert samples[-1].at == scene.clock.wall()


def test_nobody_keeps_more_than_3600(scene):
    """However short the interval."""
    scene.watch(interval=0.001)
    for _ in range(3_700):
        scene.pass_time(1.0)
    assert len(scene.monitor.samples("here")) == 3_600


def test_what_a_check_raises_is_a_finding(scene):
    """The tier is down, it is noted, and others are checked all the same."""

    def fail():
        raise ZeroDivisionError("oh")

    scene.watch(check=fail)
    scene.watch(place="elsewhere")
    scene.pass_time(30.0)
    assert scene.monitor.samples("here")[0].status is Status.DOWN
    assert scene.monitor.samples("elsewhere")[0].status is Status.UP
    assert [event.kind for event in scene.notes.events] == [EventKind.BACKGROUND_FAILED]


def test_not_even_one_who_takes_notes_ends_it(scene):
    """A recorder of the user's may raise."""

    def fail():
        raise ZeroDivisionError

    scene.notes.record = lambda _: fail()
    scene.watch(check=fail)
    scene.watch(place="elsewhere")
    scene.pass_time(30.0)
    assert len(scene.monitor.samples("elsewhere")) == 1


def test_what_could_not_be_shared_is_shared_later(scene):
    """All of it, in order, and once for all who share the same."""
    outage = [TierUnavailableError("down")]

    def share(tier, samples, most):
        if outage:
            raise outage[0]
        scene.share(tier, samples, most)

    for _ in range(2):
        scene.watch(share=share, shared_as="L3 of here")
    scene.pass_time(30.0)
    scene.pass_time(30.0)
    assert scene.shared == []
    outage.clear()
    scene.pass_time(30.0)
    scene.pass_time(30.0)
    assert scene.shared == [(CacheTier.L3, [1.0, 2.0, 3.0], 120), (CacheTier.L3, [4.0], 120)]
    assert scene.notes.events == []


def test_a_clock_that_is_set_back_loses_nothing(scene):
    """What was shared is counted, not told by its time."""
    scene.watch(share=scene.share, shared_as="x")
    scene.pass_time(30.0)
    scene.clock.jump_wall(-3_600)
    scene.pass_time(30.0)
    assert [latencies for _, latencies, _ in scene.shared] == [[1.0], [2.0]]


def test_one_thread_runs_while_anybody_watches(scene):
    """It begins when it is used, not when it is told of a server; it ends with the last watch."""
    first = scene.watch()
    second = scene.watch(place="elsewhere")
    assert not health_threads()
    for _ in range(3):
        scene.monitor.ensure_running()
    (thread,) = health_threads()
    assert thread.daemon
    scene.clock.advance(30.0)
    scene.monitor.nudge()
    wait_until(lambda: scene.monitor.samples("elsewhere"), reason="both are checked")
    scene.monitor.give_up([first])
    assert thread.is_alive()
    scene.monitor.give_up([second])
    assert not thread.is_alive()
    scene.watch()
    scene.monitor.ensure_running()
    assert len(health_threads()) == 1


def test_who_forgets_to_close_is_forgotten(scene):
    """A cache that nobody has any more is not checked any more."""
    scene.watch()
    scene.monitor.ensure_running()
    (thread,) = health_threads()
    scene.watches.clear()
    gc.collect()
    scene.clock.advance(30.0)
    scene.monitor.nudge()
    wait_until(lambda: not thread.is_alive(), reason="the thread has nobody to work for")
    assert scene.server.checks == 0


def test_a_check_that_hangs_holds_up_nobody_else(scene):
    """Neither who looks at what was found, nor who closes."""
    entered, may_end = threading.Event(), threading.Event()

    def hang():
        entered.set()
        may_end.wait(30)

    scene.server.inside = hang
    watch = scene.watch()
    scene.monitor.ensure_running()
    scene.clock.advance(30.0)
    scene.monitor.nudge()
    assert entered.wait(30)
    try:
        assert scene.monitor.samples("here") == ()
        scene.monitor.ensure_running()
        scene.monitor.give_up([watch])
        assert len(health_threads()) == 1
    finally:
        may_end.set()
    wait_until(lambda: not health_threads(), reason="the thread ends after its check")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_no_thread_until_it_uses_the_cache(scene):
    """And nothing of what the parent has found."""
    scene.watch()
    scene.monitor.ensure_running()
    scene.clock.advance(30.0)
    scene.monitor.nudge()
    wait_until(lambda: scene.monitor.samples("here"), reason="the parent has checked")
    child = os.fork()
    if child == 0:
        status = 1
        try:
            assert not health_threads()
            assert scene.monitor.samples("here") == ()
            scene.monitor.ensure_running()
            assert len(health_threads()) == 1
            scene.clock.advance(30.0)
            scene.monitor.nudge()
            wait_until(lambda: scene.monitor.samples("here"), reason="the child has checked")
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def health_threads():
    """Return the living threads of monitors."""
    return [thread for thread in threading.enumerate() if thread.name == "greencache-health"]
