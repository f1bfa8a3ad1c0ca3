"""How many loaders run at once."""

import threading

import pytest

from greencache import CacheManager
from greencache.errors import LoadTimeoutError


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
