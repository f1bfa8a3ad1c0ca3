"""Reloads that nobody waits for."""

import sys
import threading
from functools import partial

import pytest

from greencache import CacheManager
from greencache.background import Background
from greencache.events import EventKind
from greencache.testing import FakeClock


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


def test_a_task_is_refused_when_no_thread_can_be_started(monkeypatch):
    """Who submits it must not fail for it, and the next task tries again."""
    background, done = Background(), []
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", _refuse_to_start)
        assert not background.submit(lambda: done.append(1))
        assert not background._threads
    assert background.submit(lambda: done.append(2))
    assert background.close()
    assert done == [2]


def test_fewer_threads_do_when_no_more_can_be_started(monkeypatch):
    """What waits is run by those that there are."""
    background, done = Background(), []
    assert background.submit(lambda: done.append(1))
    monkeypatch.setattr(threading.Thread, "start", _refuse_to_start)
    assert background.submit(lambda: done.append(2))
    assert len(background._threads) == 1
    assert background.close()
    assert sorted(done) == [1, 2]


def test_a_reload_that_could_not_be_started_is_tried_again(monkeypatch):
    """The hit that found the value due is served, and the next one reloads it."""
    clock = FakeClock()
    with CacheManager(clock=clock) as cache:
        read = partial(cache.get_or_load, "key", ttl=10, refresh_ahead=0.5)
        assert read(lambda: "old") == "old"
        clock.advance(6)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", _refuse_to_start)
            assert read(lambda: "lost") == "old"
        has_begun = threading.Event()
        assert read(lambda: has_begun.set() or "new") == "old"
        assert has_begun.wait(10)


def test_a_reload_is_tried_again_after_submitting_it_was_interrupted(monkeypatch):
    """As by a time-out thrown into a greenlet that waits for a thread to start."""
    clock = FakeClock()
    with CacheManager(clock=clock) as cache:
        read = partial(cache.get_or_load, "key", ttl=10, refresh_ahead=0.5)
        assert read(lambda: "old") == "old"
        clock.advance(6)
        with monkeypatch.context() as patch:
            patch.setattr(Background, "submit", _interrupt)
            with pytest.raises(KeyboardInterrupt):
                read(lambda: "lost")
        has_begun = threading.Event()
        assert read(lambda: has_begun.set() or "new") == "old"
        assert has_begun.wait(10)


def test_tasks_that_end_their_threads_are_recorded_and_the_next_ones_run():
    """`SystemExit` ends a thread in silence; more such tasks than workers must not stop all reloads."""
    notes, done = Notes(), []
    background = Background(workers=2, recorder=notes)
    for _ in range(5):
        assert background.submit(sys.exit)
    assert background.submit(lambda: done.append(1))
    assert background.close()
    assert done == [1]
    assert [event.kind for event in notes.events] == [EventKind.BACKGROUND_FAILED] * 5
    assert "SystemExit" in notes.events[0].detail["error"]


def test_a_thread_that_a_task_ended_is_not_counted():
    """Else it would take the place of one that works."""
    background, threads, has_run = Background(workers=1), [], threading.Event()

    def end():
        threads.append(threading.current_thread())
        has_begun.set()
        sys.exit()

    has_begun = threading.Event()
    assert background.submit(end)
    assert has_begun.wait(10)
    threads[0].join(10)
    assert not background._threads
    assert background.submit(has_run.set)
    assert has_run.wait(10)
    assert background.close()


def _refuse_to_start(_thread):
    raise RuntimeError("can't start new thread")


def _interrupt(_background, _task):
    raise KeyboardInterrupt
