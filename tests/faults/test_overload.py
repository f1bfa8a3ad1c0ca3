"""More than the source can take: expiry of everything at once, missing ids, a hot key, a cold start."""

import random
import threading
import time

import pytest
import redis

from greencache import CacheManager, CacheTier, EntryOptions
from greencache.errors import LoadTimeoutError
from greencache.testing import FakeClock
from greencache.tiers.memory import MemoryTier

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


def run_threads(count, work):
    """Run work(index) on threads, and wait until all have ended."""
    threads = [threading.Thread(target=work, args=(index,), daemon=True) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive(), "a thread is stuck"


def peak_of_loads(jitter, number, ttl):
    """Return the most keys loaded in one second, of keys that were all stored in the same one."""
    clock = FakeClock()
    keys = [f"k{index}" for index in range(number)]
    loads = []

    def load(wanted):
        loads.append(len(wanted))
        return dict.fromkeys(wanted, 1)

    options = EntryOptions(ttl=ttl, jitter=jitter)
    with CacheManager([MemoryTier(4_000 * number, clock=clock)], clock=clock, defaults=options) as cache:
        cache.get_or_load_many(keys, load)
        assert loads == [number]
        loads.clear()
        clock.advance(ttl * (1 - jitter) - 1)
        for _ in range(int(ttl * jitter) + 2):
            clock.advance(1)
            cache.get_or_load_many(keys, load)
    assert sum(loads) >= number
    return max(loads)


def test_keys_stored_together_do_not_expire_together(figure, is_long):
    """Jitter spreads their reloads over a part of the ttl; without it they all come in one second."""
    number, ttl, jitter = 100_000 if is_long else 4_000, 300.0, 0.2
    peak = peak_of_loads(jitter, number, ttl)
    even = number / (ttl * jitter)
    figure(70, f"peak loads a second of {number:,} keys, jitter {jitter}", peak, "1/s", f"<= {1.5 * even:g}")
    figure(70, "the same without jitter", peak_of_loads(0.0, number, ttl), "1/s")


def test_missing_ids_take_no_memory_and_do_not_push_out_what_is_used(figure, is_long):
    """Whoever asks for ids that do not exist pays for each once, and others do not notice."""
    number, size = 1_000_000 if is_long else 10_000, 1_000_000
    chance, calls = random.Random(71), {"missing": 0, "hot": 0}
    hot = [f"hot:{index}" for index in range(100)]
    largest = 0

    def load(kind):
        calls[kind] += 1
        return None if kind == "missing" else 1

    with CacheManager.from_urls(l1=size) as cache:
        for index in range(number):
            missing = f"missing:{chance.getrandbits(64):x}"
            for _ in range(2):
                assert cache.get_or_load(missing, lambda: load("missing")) is None
            assert cache.get_or_load(chance.choice(hot), lambda: load("hot")) == 1
            if index % 1_000 == 0:
                largest = max(largest, cache.get_usage()[CacheTier.L1].size)
    figure(71, "most bytes in an L1 of 1 MB", largest, "B", f"<= {size}")
    figure(71, f"calls of the source for {number:,} ids asked twice", calls["missing"], bound=f"== {number}")
    hit_rate = 1 - (calls["hot"] - len(hot)) / number
    figure(71, "hit rate of 100 keys in use meanwhile", hit_rate, bound=">= 0.98")


def test_ids_that_a_batch_did_not_find_are_asked_for_once_each_negative_ttl(figure, is_long):
    """And again when that is over, since they may exist by then."""
    number, negative_ttl, asked = 100_000 if is_long else 10_000, 30.0, []
    clock = FakeClock()
    missing = [f"missing:{index}" for index in range(number)]

    def load(keys):
        asked.extend(keys)
        return {}

    with CacheManager([MemoryTier(2_000 * number, clock=clock)], clock=clock) as cache:
        for _ in range(3):
            assert cache.get_or_load_many(missing, load, negative_ttl=negative_ttl) == {}
        first = len(asked)
        clock.advance(negative_ttl + 1)
        cache.get_or_load_many(missing, load, negative_ttl=negative_ttl)
    figure(71, f"asked of the source for {number:,} ids, three times", first, bound=f"== {number}")
    figure(71, "the same after negative_ttl", len(asked) - first, bound=f"== {number}")


def commands(server, name):
    """Return how often a server has run a command."""
    with redis.Redis.from_url(server.url) as admin:
        return admin.info("commandstats").get(f"cmdstat_{name}", {"calls": 0})["calls"]


def test_a_hot_key_is_read_from_l1(redis_servers, figure, is_long):
    """However many threads read it, and while it is reloaded ahead of its end too."""
    server, threads, number = redis_servers(), 8, 100_000 if is_long else 20_000
    with CacheManager.from_urls(l2=server.url, namespace="hot") as cache:
        cache.initialize(strict=True)
        cache.get_or_load("hot", lambda: 1)
        before, began = commands(server, "get"), time.monotonic()
        run_threads(threads, lambda _: [cache.get_or_load("hot", lambda: 2) for _ in range(number)])
        seconds = time.monotonic() - began
        asked = commands(server, "get") - before
    reads = threads * number
    figure(72, "reads of one key a second", round(reads / seconds), "1/s", reads=reads)
    # Stamps and the like may be asked for; no read of the key is.
    figure(72, "GETs that L2 has seen meanwhile", asked, bound=f"<= {threads}")


class SlowSource:
    """Answers one question after the other, and notes how many are asked at once.

    Args:
        seconds: How long an answer takes.
    """

    def __init__(self, seconds):
        self._seconds = seconds
        self._turn = threading.Lock()
        self._count = threading.Lock()
        self._asking = 0
        self.most = 0
        self.calls = 0

    def load(self):
        """Answer."""
        with self._count:
            self._asking += 1
            self.calls += 1
            self.most = max(self.most, self._asking)
        with self._turn:
            # The source's own time.
            time.sleep(self._seconds)
        with self._count:
            self._asking -= 1
        return "value"


def test_a_cold_cache_sheds_what_the_source_cannot_take_and_recovers(redis_servers, figure, is_long):
    """Who cannot be served in time is told so; when fewer ask, all are served at once."""
    source, patience, limit, threads = SlowSource(0.02), 0.5, 4, 64
    number, longest, shed, served = 40 if is_long else 5, [], [], []
    l2, l3 = redis_servers().url, redis_servers().url
    with CacheManager.from_urls(
        l2=l2, l3=l3, namespace="cold", max_concurrent_loads=limit, patience=patience
    ) as cache:
        cache.initialize(strict=True)

        def ask(index):
            for turn in range(number):
                began = time.monotonic()
                try:
                    cache.get_or_load(f"{index}-{turn}", source.load)
                    served.append(1)
                except LoadTimeoutError:
                    shed.append(1)
                longest.append(time.monotonic() - began)

        run_threads(threads, ask)
        began, times = time.monotonic(), []
        for turn in range(20):
            started = time.monotonic()
            cache.get_or_load(f"after-{turn}", source.load)
            times.append(time.monotonic() - started)
        recovery = time.monotonic() - began
    figure(74, "most loaders at once", source.most, bound=f"<= {limit}")
    figure(74, "calls shed", len(shed), bound=">= 1", served=len(served))
    figure(74, "longest call while overloaded", max(longest), "s", f"<= {2 * patience + 1}")
    figure(74, "20 loads of 20 ms after the overload", recovery, "s", "<= 1.5", longest=max(times))
