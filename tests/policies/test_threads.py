"""Sixteen threads at one small cache."""

import os
import random
import threading
import time

import pytest

from greencache.policies import POLICIES

IS_LONG = os.environ.get("GREENCACHE_TEST_LONG", "") not in ("", "0")
THREADS = 16
LOCK_FREE = ["default", "s3fifo", "sieve", "gdsf"]


def hammer(cache, read, deadline, steps):
    """Read, write and delete from all threads until the deadline or the last step; return what went wrong."""
    lock = threading.Lock()
    start = threading.Barrier(THREADS)
    wrong = []

    def work(seed):
        chance = random.Random(seed)
        start.wait()
        try:
            for _ in range(steps):
                key = int(chance.expovariate(0.05))
                if read(cache, key, lock) is None:
                    with lock:
                        cache[key] = (key, chance.randrange(1, 4))
                if chance.random() < 0.02:
                    with lock:
                        cache.pop(chance.randrange(60), None)
                if time.monotonic() > deadline:
                    break
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


def without_lock(cache, key, _lock):
    """Read as MemoryTier does: no lock, whatever the writers do."""
    try:
        value = cache[key]
    except KeyError:
        return None
    assert value[0] == key
    return value


def with_lock(cache, key, lock):
    """Read as cachetools asks for it."""
    with lock:
        return cache.get(key)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", sorted(POLICIES))
def test_a_small_cache_stays_sound_under_sixteen_threads(name, audit):
    """Writers hold a lock, readers of the lock-free policies none; afterwards all books agree."""
    cache = POLICIES[name](30, getsizeof=lambda value: value[1])
    read = without_lock if name in LOCK_FREE else with_lock
    seconds, steps = (60.0, 10**9) if IS_LONG else (60.0, 1500)
    wrong = hammer(cache, read, time.monotonic() + seconds, steps)
    assert wrong == []
    assert all(value[0] == key for key, value in cache.items())
    assert cache.currsize == sum(value[1] for value in cache.values()) <= 30
    if name in LOCK_FREE:
        audit(cache)
    while cache:
        cache.popitem()
    assert cache.currsize == 0
