"""Loads within loads, loads that hang, and no thread to be had: time-outs keep nobody from going on."""

import threading

import pytest

from greencache import CacheManager
from greencache.errors import LoadTimeoutError
from greencache.testing import FakeClock, wait_until
from tests.loading.loaders import HeldLoader, ask

AT_ONCE = 0.01
"""Seconds; shorter than any load of these tests."""
LONG = 30.0


@pytest.fixture
def cache():
    """A cache in memory, by the machine's own clock, since futures are waited for by that."""
    with CacheManager() as cache:
        yield cache


@pytest.mark.parametrize("limit", [1, 2, None])
@pytest.mark.parametrize("options", [{"soft_timeout": LONG}, {"hard_timeout": LONG}])
def test_loads_within_loads_do_not_wait_for_a_thread_that_waits_for_them(limit, options):
    """The outer load holds the only place, and the only thread that it needs itself."""
    with CacheManager(max_concurrent_loads=limit) as cache:

        def load(depth):
            if not depth:
                return 1
            return cache.get_or_load(f"k{depth - 1}", lambda: load(depth - 1), **options) + 1

        assert ask(load, 4).result(10) == 5


def test_many_loads_within_loads_do_not_wait_for_each_others_threads():
    """As many as there may be places, each with one inside."""
    with CacheManager(max_concurrent_loads=8) as cache:
        together = threading.Barrier(8)

        def load(number):
            together.wait(10)
            return cache.get_or_load(f"inner{number}", lambda: number, hard_timeout=LONG)

        answers = [ask(cache.get_or_load, f"k{n}", lambda n=n: load(n), hard_timeout=LONG) for n in range(8)]
        assert [answer.result(10) for answer in answers] == list(range(8))


def test_a_loader_may_ask_for_its_own_key_with_a_timeout(cache):
    """Its own flight is not waited for, on whichever thread."""
    inner = ask(
        cache.get_or_load,
        "k",
        lambda: cache.get_or_load("k", lambda: "inner", hard_timeout=LONG),
        hard_timeout=LONG,
    )
    assert inner.result(10) == "inner"


def test_no_more_loaders_run_at_once_with_timeouts():
    """Those that wait for a place are let in one after the other."""
    with CacheManager(max_concurrent_loads=2) as cache:
        running, most, lock = [0], [0], threading.Lock()

        def load():
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            threading.Event().wait(0.01)
            with lock:
                running[0] -= 1
            return 1

        answers = [ask(cache.get_or_load, f"k{n}", load, hard_timeout=LONG) for n in range(20)]
        assert [answer.result(30) for answer in answers] == [1] * 20
        assert most[0] == 2


def test_a_loader_that_hangs_does_not_hold_another_key_beyond_patience(loader):
    """Who waits for its place is told so, as without time-outs."""
    with CacheManager(max_concurrent_loads=1, patience=0.2) as cache:
        with pytest.raises(LoadTimeoutError):
            cache.get_or_load("hangs", loader, hard_timeout=AT_ONCE)
        loader.await_begun()
        other = ask(cache.get_or_load, "other", lambda: 1, soft_timeout=AT_ONCE)
        with pytest.raises(LoadTimeoutError, match="max_concurrent_loads"):
            other.result(10)


@pytest.mark.parametrize("options", [{}, {"hard_timeout": LONG}, {"soft_timeout": LONG}])
def test_a_loader_that_hangs_does_not_hold_its_key_beyond_patience(loader, options):
    """Whoever comes later, and has waited so long, loads."""
    with CacheManager(patience=0.2) as cache:
        hung = ask(cache.get_or_load, "k", loader, **options)
        loader.await_begun()
        assert cache.get_or_load("k", lambda: "own", **options) == "own"
        loader.release()
        assert hung.result(10) == "new"


def test_who_cannot_be_kept_to_its_time_is_told_when_no_thread_is_to_be_had(cache, monkeypatch):
    """With a hard time-out; a soft one is then not kept, but the value is loaded."""

    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(LoadTimeoutError, match="a thread to load on"):
        cache.get_or_load("k", lambda: 1, hard_timeout=LONG)
    assert cache.get_or_load("k", lambda: threading.current_thread().name, soft_timeout=LONG) == (
        threading.current_thread().name
    )


def test_timeouts_are_kept_by_the_clock_that_callers_wait_by():
    """A cache whose own clock stands still, as in tests, raises all the same, and loads once."""
    with CacheManager(clock=FakeClock()) as cache:
        loader = HeldLoader()
        with pytest.raises(LoadTimeoutError):
            cache.get_or_load("k", loader, hard_timeout=AT_ONCE)
        with pytest.raises(LoadTimeoutError):
            cache.get_or_load("k", loader, hard_timeout=AT_ONCE)
        loader.release()
        wait_until(lambda: cache.get("k") == "new", reason="the load has ended and was stored")
        assert loader.calls == 1


def test_a_cache_that_is_closed_waits_for_its_loads(loader):
    """They were promised to be stored."""
    cache = CacheManager()
    with pytest.raises(LoadTimeoutError):
        cache.get_or_load("k", loader, hard_timeout=AT_ONCE)
    closing = ask(cache.close)
    loader.release()
    closing.result(10)
    assert not cache._engine.reader.foreground._threads
