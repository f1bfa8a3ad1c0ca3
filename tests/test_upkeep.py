"""What is done now and then."""

import os
import threading

import pytest

from greencache.events import EventKind
from greencache.testing import FakeClock, wait_until
from greencache.upkeep import Upkeep


class Chore:
    """Notes when it was asked, and asks for another time."""

    def __init__(self, clock, pause, name="a chore"):
        self.name = name
        self.asked = []
        self.error = None
        self._clock = clock
        self._pause = pause

    def attempt(self):
        """Do nothing."""
        self.asked.append(self._clock.now())
        if self.error:
            raise self.error
        return self._pause


class Events(list):
    """A recorder that remembers."""

    record = list.append


def test_each_chore_is_asked_in_its_own_time():
    """And not before."""
    clock = FakeClock(now=0)
    often, rarely = Chore(clock, 10), Chore(clock, 25)
    upkeep = Upkeep([often, rarely], clock=clock)
    for _ in range(6):
        assert upkeep.attempt_due() <= 10
        clock.advance(5)
    assert often.asked == [0, 10, 20]
    assert rarely.asked == [0, 25]


def test_a_chore_that_fails_is_asked_later_each_time():
    """It is told of once, until it succeeds; others are asked as ever."""
    clock, events = FakeClock(now=0), Events()
    failing, other = Chore(clock, 1, "breaking"), Chore(clock, 1)
    failing.error = ValueError("no")
    upkeep = Upkeep([failing, other], clock=clock, recorder=events)
    for _ in range(200):
        upkeep.attempt_due()
        clock.advance(1)
    assert len(other.asked) == 200
    assert 5 < len(failing.asked) < 20
    assert [event.kind for event in events] == [EventKind.BACKGROUND_FAILED]
    assert events[0].detail["error"] == "breaking: ValueError('no')"
    failing.error = None
    clock.advance(100)
    before = len(failing.asked)
    for _ in range(10):
        upkeep.attempt_due()
        clock.advance(1)
    assert len(failing.asked) == before + 10


def test_nothing_is_begun_after_the_end():
    """Not even the rest of a round that is under way."""
    clock = FakeClock()
    last = Chore(clock, 0)

    class Closing(Chore):
        def attempt(self):
            upkeep.close()
            return 0

    upkeep = Upkeep([Closing(clock, 0), last], clock=clock)
    upkeep.attempt_due()
    upkeep.start()
    assert last.asked == []
    assert not [each for each in threading.enumerate() if each.name == "greencache-upkeep"]


def test_one_thread_does_it_and_ends():
    """However often it is started."""
    asked = threading.Event()

    class Asked(Chore):
        def attempt(self):
            asked.set()
            return 60

    upkeep = Upkeep([Asked(FakeClock(), 0)], clock=FakeClock())
    before = threading.active_count()
    for _ in range(3):
        upkeep.start()
    assert asked.wait(10)
    assert threading.active_count() == before + 1
    upkeep.close()
    wait_until(lambda: threading.active_count() == before, deadline=10, reason="the thread has ended")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_asks_anew():
    """Its parent's thread is not its own."""
    ready, told = os.pipe()

    class Asked(Chore):
        def attempt(self):
            os.write(told, b"x")
            return 60

    upkeep = Upkeep([Asked(FakeClock(), 0)], clock=FakeClock())
    upkeep.start()
    assert os.read(ready, 1) == b"x"
    child = os.fork()
    if not child:
        upkeep.start()
        os._exit(0 if os.read(ready, 1) == b"x" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    upkeep.close()
