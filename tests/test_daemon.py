"""A thread that lasts until it is told to stop."""

import os
import threading

import pytest

from greencache.daemon import Daemon


@pytest.fixture
def daemon():
    """A daemon that ends with its test."""
    daemon = Daemon("some")
    yield daemon
    daemon.close(10)


def rest(stop):
    """Do nothing until told to stop."""
    stop.wait(60)


def test_it_begins_once(daemon):
    """However often it is asked to."""
    assert daemon.start(rest) is None
    thread = daemon.thread
    assert (thread.name, thread.daemon, thread.is_alive()) == ("some", True, True)
    assert daemon.start(rest) is None
    assert daemon.thread is thread


def test_who_comes_while_it_begins_begins_no_other(daemon, monkeypatch):
    """But waits until it has begun."""
    is_beginning, ran = threading.Event(), []

    class SlowThread(threading.Thread):
        def start(self):
            is_beginning.set()
            # Long enough for the other one to come here, were it let in.
            threading.Event().wait(0.1)
            super().start()

    def run(stop):
        ran.append(threading.get_ident())
        rest(stop)

    other = threading.Thread(target=lambda: is_beginning.wait(10) and daemon.start(run))
    other.start()
    with monkeypatch.context() as patch:
        patch.setattr(threading, "Thread", SlowThread)
        daemon.start(run)
        other.join(10)
    daemon.close(10)
    assert len(ran) == 1


def test_one_that_has_ended_begins_anew(daemon):
    """Whatever it has ended of."""
    daemon.start(lambda _: None)
    daemon.thread.join(10)
    daemon.start(rest)
    assert daemon.thread.is_alive()


def test_who_closes_waits_for_what_is_under_way(daemon):
    """After what it waits for was ended."""
    interrupted = threading.Event()

    def run(stop):
        interrupted.wait(60)
        assert stop.is_set()

    daemon.start(run)
    daemon.close(10, interrupted.set)
    assert daemon.is_stopping
    assert not daemon.thread.is_alive()


def test_after_the_end_nothing_begins(daemon):
    """Closed twice or not."""
    daemon.close(10)
    daemon.close(10)
    assert daemon.start(rest) is None
    assert daemon.thread is None


def test_it_may_close_itself(daemon):
    """It does not wait for itself."""
    daemon.start(lambda _: daemon.close(60))
    daemon.thread.join(10)
    assert not daemon.thread.is_alive()


def test_where_there_is_no_thread_to_be_had_that_is_said(daemon, monkeypatch):
    """And tried again by the next who asks."""

    def refuse(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert "can't start new thread" in str(daemon.start(rest))
    assert daemon.start(rest) is None
    assert daemon.thread.is_alive()


def test_a_forked_child_has_one_of_its_own(daemon):
    """Begun when it is needed there, not before."""
    daemon.start(rest)
    child = os.fork()
    if child == 0:
        had = daemon.thread
        error = daemon.start(rest)
        os._exit(0 if had is None and error is None and daemon.thread.is_alive() else 1)
    assert os.waitpid(child, 0)[1] == 0
