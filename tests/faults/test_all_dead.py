"""All tiers but L1 are dead: a cache is never worse than none."""

import contextlib
import itertools
import threading
import time

import pytest

from greencache import CacheManager
from greencache.testing import wait_until
from greencache.testing.servers.errors import ServerControlError
from tests.faults.figures import only_in_a_long_run
from tests.faults.history import percentiles
from tests.faults.loader_client import configured_cache
from tests.faults.stopwatch import seconds_of

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

CALLS, REPEATS = 2_000, 5


@pytest.fixture
def dead(redis_servers, postgres_servers):
    """A cache whose servers were all killed, and whose breakers have opened."""
    servers = {"l2": redis_servers(), "l3": redis_servers(), "l4": postgres_servers()}
    urls = {name: server.url for name, server in servers.items()}
    with CacheManager.from_urls(**urls, namespace="dead", max_concurrent_loads=4) as cache:
        cache.initialize(strict=True)
        for server in servers.values():
            server.kill()
        for number in range(20):
            assert cache.get_or_load(f"warm-{number}", lambda: 1) == 1
        yield cache


def seconds_of_each(call):
    """Return how long each of many calls takes."""
    return [seconds_of(call) for _ in range(CALLS)]


def test_dead_tiers_cost_a_load_next_to_nothing(dead, figure):
    """No call waits for a server that is known to be dead."""
    numbers = itertools.count()
    # The best of several: what else the machine does can only add.
    tables = [
        percentiles(seconds_of_each(lambda: dead.get_or_load(f"k{next(numbers)}", dict)))
        for _ in range(REPEATS)
    ]
    bare = percentiles(seconds_of_each(dict))
    added = min(table["p99_ms"] for table in tables) - bare["p99_ms"]
    figure("P3", "added by dead tiers to a load, p99", added, "ms", "<= 1", all=tables)


def test_no_more_loaders_run_than_are_allowed_while_all_tiers_are_dead(dead, figure):
    """The source is not drowned by those whom the tiers do not serve any more."""
    running, most, lock = 0, 0, threading.Lock()
    errors = []

    def load():
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        # The source's own time.
        time.sleep(0.002)
        with lock:
            running -= 1
        return 1

    def ask(index):
        try:
            for turn in range(20):
                assert dead.get_or_load(f"{index}-{turn}", load) == 1
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=ask, args=(index,), daemon=True) for index in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    figure("P3", "most loaders at once, 32 threads, all tiers dead", most, bound="<= 4")
    assert errors == []


@pytest.fixture
def hung(redis_servers):
    """The addresses of two servers that will answer again when the test is over; and what makes them hang."""
    servers = {"l2": redis_servers(), "l3": redis_servers()}

    def hang():
        for server in servers.values():
            server.pause()

    yield {name: server.url for name, server in servers.items()}, hang
    for server in servers.values():
        with contextlib.suppress(ServerControlError):
            server.resume()


def test_hung_tiers_cost_a_load_next_to_nothing_once_that_is_known(hung, figure):
    """Open breakers spare all callers but the few that probe."""
    urls, hang = hung
    with configured_cache(urls, timeout=0.1) as cache:
        hang()
        numbers = itertools.count()
        began = time.monotonic()

        def is_known():
            return seconds_of(lambda: cache.get_or_load(f"k{next(numbers)}", dict)) < 0.01

        wait_until(is_known, deadline=60, interval=0.0, reason="both breakers have opened")
        known = time.monotonic() - began
        times = [
            seconds_of_each(lambda: cache.get_or_load(f"k{next(numbers)}", dict)) for _ in range(REPEATS)
        ]
    tables = [percentiles(each) for each in times]
    added = min(table["p99_ms"] for table in tables)
    figure("P3", "until hung tiers (0.1 s) are left alone", known, "s", calls=next(numbers))
    figure("P3", "added by hung tiers to a load, p99", added, "ms", "<= 1", all=tables)
    figure("P3", "longest load while tiers hang (0.1 s)", max(map(max, times)), "s", "<= 1")


@only_in_a_long_run
def test_hung_tiers_cost_the_first_load_no_more_than_their_deadlines(hung, figure):
    """With the default settings: one call to each that waits in vain, and a short probe."""
    urls, hang = hung
    with CacheManager.from_urls(**urls, namespace="hung") as cache:
        cache.initialize(strict=True)
        hang()
        began = time.monotonic()
        cache.get_or_load("first", dict)
        first = time.monotonic() - began
    figure("P3", "first load when two tiers hang, default time-outs", first, "s", "<= 13")
