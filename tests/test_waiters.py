"""Who waits is woken once something may have landed."""

import os
import threading
import warnings

import pytest

from greencache.testing import wait_until
from greencache.waiters import Waiters, Wake

LONG = 30.0


def waits(wake):
    """Let a thread wait, and return it once it does."""
    thread = threading.Thread(target=wake.wait, args=(LONG,), daemon=True)
    thread.start()
    wait_until(lambda: wake._event._cond._waiters, reason="the thread waits")
    return thread


def test_a_wake_ends_a_wait():
    """At once, from another thread."""
    wake = Wake()
    thread = waits(wake)
    wake()
    thread.join(10)
    assert not thread.is_alive()


def test_a_wake_that_comes_before_the_wait_ends_it_too():
    """Else it would be lost between a look and the pause after it; and it ends only one."""
    wake = Wake()
    wake()
    wake()
    assert wake.is_called
    wake.wait(LONG)
    assert not wake.is_called
    wake.wait(0)


def test_a_wake_tells_who_asked_for_it():
    """How an event loop learns of it."""
    wake, told = Wake(), []
    wake.on_call = lambda: told.append(wake.is_called)
    wake()
    assert told == [True]
    wake.reset()
    assert not wake.is_called


def test_those_who_wait_for_a_key_are_woken_and_nobody_else():
    """Each for any of its keys."""
    waiters = Waiters()
    with (
        waiters.waiting(["a", "b"]) as first,
        waiters.waiting(["b"]) as second,
        waiters.waiting(["c"]) as third,
    ):
        waiters.wake(["b", "other"])
        assert (first.is_called, second.is_called, third.is_called) == (True, True, False)
        waiters.wake(["c"])
        assert third.is_called


def test_all_are_woken_when_nobody_knows_who_is_meant():
    """As by a pattern."""
    waiters = Waiters()
    with waiters.waiting(["a"]) as first, waiters.waiting(["b", "a"]) as second:
        waiters.wake_all()
        assert first.is_called
        assert second.is_called


def test_who_has_left_is_forgotten():
    """However it left, and without taking others along."""
    waiters = Waiters()
    with waiters.waiting(["a", "b"]) as staying:
        with pytest.raises(KeyboardInterrupt), waiters.waiting(["a"]) as leaving:
            raise KeyboardInterrupt
        waiters.wake(["a"])
        assert staying.is_called
        assert not leaving.is_called
    assert not waiters._wakes


def test_nobody_waits_for_nothing():
    """An empty list of keys is one."""
    waiters = Waiters()
    with waiters.waiting([]) as wake:
        waiters.wake_all()
        assert not wake.is_called
    waiters.wake(["a"])


def test_keys_may_be_given_as_any_iterable():
    """They are needed twice."""
    waiters = Waiters()
    with waiters.waiting(iter(["a"])) as wake:
        waiters.wake(iter(["a"]))
        assert wake.is_called
    assert not waiters._wakes


def test_a_key_given_twice_is_left_at_once():
    """And leaves nothing behind."""
    waiters = Waiters()
    with waiters.waiting(["a", "a"]) as wake:
        waiters.wake(["a"])
        assert wake.is_called
    assert not waiters._wakes


def test_who_is_woken_may_wake_others():
    """No lock is held meanwhile."""
    waiters = Waiters()
    with waiters.waiting(["a"]) as first, waiters.waiting(["b"]) as second:
        first.on_call = lambda: waiters.wake(["b"])
        waker = threading.Thread(target=waiters.wake, args=(["a"],), daemon=True)
        waker.start()
        waker.join(10)
        assert second.is_called


def test_many_come_and_go_while_they_are_woken():
    """Nobody is lost, and nothing is left."""
    waiters, stop = Waiters(), threading.Event()

    def wait(number):
        for _ in range(200):
            with waiters.waiting([f"k{number % 3}"]) as wake:
                wake.wait(LONG)

    def wake():
        while not stop.is_set():
            waiters.wake(["k0", "k1"])
            waiters.wake_all()

    threads = [threading.Thread(target=wait, args=(number,), daemon=True) for number in range(6)]
    waker = threading.Thread(target=wake, daemon=True)
    for thread in (*threads, waker):
        thread.start()
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive(), "somebody was not woken"
    stop.set()
    waker.join(10)
    assert not waiters._wakes


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_has_nobody_waiting():
    """Those who wait are threads of its parent, whose lock may be held."""
    waiters = Waiters()
    with waiters.waiting(["a"]), warnings.catch_warnings(), waiters._lock:
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
        if child == 0:
            with waiters.waiting(["b"]) as wake:
                waiters.wake(["a", "b"])
            os._exit(0 if wake.is_called and not waiters._wakes else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
