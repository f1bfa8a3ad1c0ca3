"""Reloads that nobody waits for."""

import threading

from greencache.background import Background
from greencache.events import EventKind


class Notes:
    """A recorder that keeps what it is told."""

    def __init__(self):
        self.events = []

    def record(self, event):
        """Keep the event."""
        self.events.append(event)


def test_tasks_run_and_close_waits_for_them():
    """What was taken is done before close returns."""
    background, done = Background(workers=2), []
    for number in range(20):
        assert background.submit(lambda number=number: done.append(number))
    assert background.close()
    assert sorted(done) == list(range(20))


def test_what_does_not_fit_is_refused():
    """Memory is bounded, and nobody blocks."""
    background, gate = Background(workers=1, capacity=2), threading.Event()
    taken = [background.submit(lambda: gate.wait(10)) for _ in range(10)]
    assert 2 <= taken.count(True) <= 3
    gate.set()
    assert background.close()


def test_a_closed_background_refuses():
    """And may be closed twice."""
    background = Background()
    assert background.close()
    assert background.close()
    assert not background.submit(lambda: None)


def test_a_task_that_raises_is_recorded_and_the_next_one_runs():
    """Nobody waits for it, so nobody else can be told."""
    notes, done = Notes(), []
    background = Background(workers=1, recorder=notes)
    background.submit(lambda: 1 // 0)
    background.submit(lambda: done.append(1))
    assert background.close()
    assert [event.kind for event in notes.events] == [EventKind.BACKGROUND_FAILED]
    assert done == [1]


def test_a_task_that_hangs_does_not_hang_close():
    """Close says that it did not finish."""
    background, gate = Background(workers=1, capacity=1), threading.Event()
    background.submit(lambda: gate.wait(30))
    assert not background.close(timeout=0.05)
    gate.set()
