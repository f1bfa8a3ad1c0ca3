"""How many loaders run at once."""

import contextlib
import ctypes
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from greencache import CacheManager
from greencache.errors import ConfigurationError, LoadTimeoutError
from greencache.loading.gate import LoadGate
from greencache.testing import wait_until


def test_no_more_loaders_run_at_once_than_are_allowed():
    """The others wait and are served afterwards."""
    with CacheManager(max_concurrent_loads=3) as cache:
        running, most, lock = [0], [0], threading.Lock()
        go = threading.Event()

        def load():
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            go.wait(0.05)
            with lock:
                running[0] -= 1
            return 1

        threads = [threading.Thread(target=cache.get_or_load, args=(f"k{n}", load)) for n in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert most[0] == 3
        assert len(cache.mget([f"k{n}" for n in range(20)])) == 20


def test_a_load_within_a_load_needs_no_place_of_its_own():
    """Else loads within loads could hold all places and wait for each other."""
    with CacheManager(max_concurrent_loads=1, patience=5.0) as cache:
        assert cache.get_or_load("a", lambda: cache.get_or_load("b", lambda: 2) + 1) == 3


def test_a_load_that_another_load_waits_for_needs_no_place():
    """It queues for the place of the one that waits for it: they would wait for each other."""
    with CacheManager(max_concurrent_loads=1, patience=20.0) as cache:
        has_begun, may_ask = threading.Event(), threading.Event()

        def outer():
            has_begun.set()
            assert may_ask.wait(20)
            return cache.get_or_load("shared", lambda: "inner")

        with ThreadPoolExecutor(2) as threads:
            first = threads.submit(cache.get_or_load, "outer", outer)
            assert has_begun.wait(10)
            second = threads.submit(cache.get_or_load, "shared", lambda: "queued")
            arrivals = cache._engine.reader.driver.gate._arrivals
            wait_until(lambda: len(arrivals) == 2, reason="the second one queues")
            may_ask.set()
            assert (first.result(10), second.result(10)) == ("queued", "queued")


def test_who_waits_too_long_for_a_place_is_told_why():
    """An error of our tree, and a TimeoutError."""
    with CacheManager(max_concurrent_loads=1, patience=0.1) as cache:
        has_begun, may_end = threading.Event(), threading.Event()

        def hang():
            has_begun.set()
            may_end.wait(20)

        thread = threading.Thread(target=cache.get_or_load, args=("a", hang))
        thread.start()
        assert has_begun.wait(10)
        with pytest.raises(LoadTimeoutError, match="max_concurrent_loads"):
            cache.get_or_load("b", lambda: 1)
        may_end.set()
        thread.join(10)


def test_what_a_full_gate_refuses_has_not_begun():
    """So it is no load, and nobody counts it as one."""
    gate, begun = LoadGate(1, 0.0), []
    with gate.passed():
        with ThreadPoolExecutor(1) as others:
            refused = others.submit(_pass, gate, begun.append).exception(10)
        assert isinstance(refused, LoadTimeoutError)
        assert not begun
    _pass(gate, begun.append)
    assert begun


def test_who_came_first_is_served_first():
    """A place that becomes free goes to whoever waits longest, at once."""
    gate, served = LoadGate(1, 20.0), []
    with ThreadPoolExecutor(8) as others, gate.passed():
        for number in range(8):
            others.submit(_pass, gate, lambda _, number=number: served.append(number))
            _await(lambda number=number: len(gate._arrivals) == number + 2)
    assert served == list(range(8))


def test_no_place_is_lost_when_threads_are_interrupted():
    """An exception thrown into a thread, as signal handlers do, may come after any of its calls."""
    gate, targets, failures = LoadGate(2, 5.0), queue.SimpleQueue(), []

    def work():
        for _ in range(250):
            try:
                targets.put(threading.get_ident())
                while True:  # until the one exception comes that the thread has asked for
                    _pass(gate, lambda _: None)
            except InterruptedError:
                continue
            except LoadTimeoutError as error:
                failures.append(error)
                break

    workers = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for worker in workers:
        worker.start()
    throw = ctypes.pythonapi.PyThreadState_SetAsyncExc
    while any(worker.is_alive() for worker in workers):
        with contextlib.suppress(queue.Empty):
            throw(ctypes.c_ulong(targets.get(timeout=0.1)), ctypes.py_object(InterruptedError))
    assert not failures
    assert not gate._arrivals


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "many"])
def test_a_limit_that_lets_nobody_through_is_refused(limit):
    """When the cache is built, not when it first loads."""
    with pytest.raises(ConfigurationError, match="max_concurrent_loads"):
        LoadGate(limit, 1.0)


@pytest.mark.parametrize("patience", [-1, float("nan"), float("inf"), None, "10s"])
def test_a_patience_that_is_no_time_is_refused(patience):
    """Nobody waits for less than nothing, or for ever."""
    with pytest.raises(ConfigurationError, match="patience"):
        LoadGate(1, patience)


def _pass(gate, load):
    with gate.passed():
        load(1)


def _await(is_so, reason="the other threads came"):
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline, reason
        threading.Event().wait(0.001)
