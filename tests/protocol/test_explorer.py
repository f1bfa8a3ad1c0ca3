"""The checker itself: it finds what is there, and leaves out only orders that make no difference."""

import pytest

from .explorer import Explorer
from .scenarios import SCENARIOS
from .scheduler import Actor, Run, ViolationError, reading, writing


class Counter:
    """A number that actors raise by one, reading it first and writing it later.

    Args:
        count: How many actors.
        apart: Whether each has a number of its own.
    """

    def __init__(self, count, *, apart=False):
        self.run = Run()
        self.values = [0] * (count if apart else 1)
        for number in range(count):
            place = number % len(self.values)
            self.run.add(
                Actor(f"a{number}", lambda place=place: self._raise(place), [str(place)], [str(place)])
            )

    def _raise(self, place):
        self.run.stop_before(reading("read", str(place)))
        seen = self.values[place]
        self.run.note(seen)
        self.run.stop_before(writing("write", str(place)))
        self.values[place] = seen + 1

    def fingerprint(self):
        """Return the numbers and what the actors know."""
        actors = self.run.actors.values()
        return hash((tuple(self.values), tuple((actor.history, actor.is_done) for actor in actors)))

    def judge(self):
        """Each raise must have counted."""
        if sum(self.values) != len(self.run.actors):
            raise ViolationError(f"{self.values} after {len(self.run.actors)} raises")


class Waiting(Counter):
    """Two actors, each of which waits for the other to have written."""

    def _raise(self, place):
        self.run.stop_before(reading("wait", str(place), is_ready=lambda: self.values[place] > 0))
        super()._raise(place)


def test_a_lost_update_is_found_with_the_steps_that_lead_to_it():
    """Two read before either writes."""
    report = Explorer(lambda: Counter(2)).explore()
    assert report.violation == "[1] after 2 raises"
    assert sorted(step.split(" -> ")[0] for step in report.trace[:2]) == ["a0: read", "a1: read"]


def test_steps_that_touch_nothing_in_common_are_tried_in_one_order():
    """Three actors apart from each other need one schedule, not ninety."""
    report = Explorer(lambda: Counter(3, apart=True)).explore()
    assert (report.violation, report.schedules) == ("", 1)
    full = Explorer(lambda: Counter(3, apart=True), reduces=False).explore()
    assert full.rests == report.rests
    assert full.states == 27


def test_a_deadlock_is_a_violation():
    """Nobody can go on, and somebody has not ended."""
    report = Explorer(lambda: Waiting(2)).explore()
    assert report.violation == "nobody can go on: a0 before wait, a1 before wait"


@pytest.mark.parametrize(
    "name",
    [
        "reload, set, on two hosts",
        "load, set, L1 alone",
        "two loads, on two hosts",
    ],
)
def test_leaving_out_orders_loses_no_state_of_rest(explore, name):
    """All orders, and those that make a difference, end in the same states."""
    assert explore(SCENARIOS[name]).rests == explore(SCENARIOS[name], reduces=False).rests


def test_an_exploration_that_is_too_large_says_so(explore):
    """A limit is an error: what was not explored was not checked."""
    with pytest.raises(TimeoutError, match="within 3 executions"):
        explore(SCENARIOS["load, key, on two hosts"], limit=3)
