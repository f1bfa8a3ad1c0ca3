"""Reloads that nobody waits for."""

import contextlib
import os
import sys
import threading
import warnings
from functools import partial
from types import SimpleNamespace

import pytest

from greencache import CacheManager
from greencache.background import Background
from greencache.events import EventKind
from greencache.testing import FakeClock, wait_until


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


def test_many_tasks_that_hang_delay_close_no_longer_than_one(monkeypatch):
    """All threads have one deadline together."""
    clock, gate = FakeClock(), threading.Event()
    background = Background(workers=6, capacity=0)
    for _ in range(6):
        assert background.submit(lambda: gate.wait(30))
    before = clock.now()
    with monkeypatch.context() as patch:
        patch.setattr("greencache.background.time", SimpleNamespace(monotonic=clock.now))
        patch.setattr(threading.Thread, "join", lambda _, timeout: clock.advance(timeout))
        assert not background.close(timeout=5.0)
    assert clock.now() - before == pytest.approx(5.0)
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


def test_a_thread_is_started_only_when_none_is_idle():
    """One thread does where one task comes after the other."""
    background, threads = Background(workers=8), set()
    for _ in range(20):
        assert background.submit(lambda: threads.add(threading.get_ident()))
        wait_until(lambda: not background._unfinished, reason="the thread is idle", interval=0.001)
    assert len(threads) == 1
    assert background.close()


def test_without_capacity_no_task_waits_for_another():
    """So a task may wait for one that it submits; beyond the last thread a task is refused."""
    background, answers, is_done = Background(workers=3, capacity=0), [], threading.Event()

    def nest(depth):
        inner = threading.Event()
        is_taken = background.submit(lambda: nest(depth - 1) or inner.set())
        answers.append(is_taken)
        assert not is_taken or inner.wait(10)

    assert background.submit(lambda: nest(3) or is_done.set())
    assert is_done.wait(10)
    assert sorted(answers) == [False, True, True]
    assert background.close()


def test_without_capacity_a_task_that_no_thread_can_be_started_for_is_refused(monkeypatch):
    """It would wait for the task that runs, which may be waiting for it."""
    background, may_end, has_begun = Background(workers=8, capacity=0), threading.Event(), threading.Event()
    assert background.submit(lambda: has_begun.set() or may_end.wait(10))
    assert has_begun.wait(10)
    monkeypatch.setattr(threading.Thread, "start", _refuse_to_start)
    assert not background.submit(lambda: None)
    may_end.set()
    wait_until(lambda: not background._unfinished, reason="the thread is idle")
    assert background.submit(lambda: None)
    assert background.close()


def test_a_scope_is_entered_around_each_task():
    """On the task's own thread, and left whatever becomes of the task."""
    entered, left, tasks, notes = [], [], [], Notes()

    @contextlib.contextmanager
    def scope():
        entered.append(threading.get_ident())
        try:
            yield
        finally:
            left.append(threading.get_ident())

    def note():
        tasks.append((threading.get_ident(), len(entered), len(left)))

    background = Background(workers=1, recorder=notes, scope=scope)
    for task in (note, lambda: 1 // 0, sys.exit, note):
        assert background.submit(task)
    assert background.close()
    assert len(entered) == 4
    assert entered == left
    assert tasks == [(entered[0], 1, 0), (entered[3], 4, 3)]
    assert [event.kind for event in notes.events] == [EventKind.BACKGROUND_FAILED] * 2


def test_a_scope_that_raises_is_recorded_and_the_next_task_runs():
    """It is the user's code, and nobody waits for it."""
    scopes, notes, done = [contextlib.nullcontext, lambda: 1 // 0], Notes(), []
    background = Background(workers=1, recorder=notes, scope=partial(_enter_next, scopes))
    background.submit(lambda: done.append("lost"))
    background.submit(lambda: done.append("next"))
    assert background.close()
    assert done == ["next"]
    assert "ZeroDivisionError" in notes.events[0].detail["error"]


def test_what_runs_on_threads_of_the_cache_runs_in_its_scope():
    """Reloads and loads with time-outs; what runs on the caller's thread has the caller's scope."""
    clock, inside, scoped = FakeClock(), set(), []

    @contextlib.contextmanager
    def scope():
        inside.add(threading.get_ident())
        yield
        inside.remove(threading.get_ident())

    def load():
        scoped.append(threading.get_ident() in inside)
        return len(scoped)

    with CacheManager(clock=clock, background_scope=scope) as cache:
        cache.get_or_load("own", load)
        cache.get_or_load("timed", load, hard_timeout=30)
        cache.get_or_load("due", load, ttl=10, refresh_ahead=0.5)
        clock.advance(6)
        cache.get_or_load("due", load, ttl=10, refresh_ahead=0.5)
        wait_until(lambda: len(scoped) == 4, reason="the value was reloaded")
    assert scoped == [False, True, False, True]


def test_a_task_that_hangs_gives_its_place_to_another_thread():
    """Once it has run for longest; it is told once."""
    notes, may_end, has_begun, done = Notes(), threading.Event(), threading.Event(), threading.Event()
    background = Background(workers=1, recorder=notes, longest=50)
    assert background.submit(lambda: has_begun.set() or may_end.wait(30))
    assert has_begun.wait(10)
    assert background.submit(lambda: None)
    assert len(background._threads) == 1
    _age(background)
    assert background.submit(done.set)
    assert done.wait(10)
    assert background.submit(lambda: None)
    assert len(background._threads) == 2
    assert [event.kind for event in notes.events] == [EventKind.BACKGROUND_FAILED]
    assert "more than 50 s" in notes.events[0].detail["error"]
    may_end.set()
    assert background.close()


def test_as_many_tasks_as_there_are_workers_may_hang_so():
    """Else a source that hangs would take thread after thread; what waits runs when one ends."""
    background, may_end, begun, done = Background(workers=2, longest=50), threading.Event(), [], []
    for number in range(6):
        assert background.submit(lambda: begun.append(1) or may_end.wait(30))
        wait_until(lambda number=number: len(begun) == min(number + 1, 4), reason="it has a thread if it may")
        _age(background)
    assert background.submit(lambda: done.append(1))
    assert len(background._threads) == 4
    may_end.set()
    assert background.close()
    assert len(begun) == 6
    assert done == [1]


def test_a_child_that_a_task_forks_has_a_background_of_its_own():
    """Its threads are the parent's; the task that forked goes on and ends in the child."""
    background, codes = Background(workers=1, capacity=0), []

    def fork():
        child = os.fork()
        if child == 0:
            os._exit(0 if _works_after_fork(background) else 1)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert background.submit(fork)
        assert background.close()
    assert codes == [0]


def _works_after_fork(background):
    has_run = threading.Event()
    return background.submit(has_run.set) and has_run.wait(10) and background._unfinished in {0, 1}


def _refuse_to_start(_thread):
    raise RuntimeError("can't start new thread")


def _interrupt(_background, _task):
    raise KeyboardInterrupt


def _enter_next(scopes):
    return scopes.pop()()


def _age(background):
    """Let all tasks that run have run for long."""
    for thread in list(background._begun):
        background._begun[thread] -= 100
