"""Run by test_gevent.py in a process of its own: a cache over real servers under gevent."""

import gevent.monkey

gevent.monkey.patch_all()

import sys  # noqa: E402

import gevent  # noqa: E402

from greencache import MISSING, CacheManager  # noqa: E402

l2, l3 = sys.argv[1:]
with CacheManager.from_urls(l2=l2, l3=l3, namespace="gevent") as cache:
    cache.initialize(strict=True)
    calls = []

    def load():
        calls.append(1)
        gevent.sleep(0.05)
        return "value"

    waiting = [gevent.spawn(cache.get_or_load, "cold", load) for _ in range(50)]
    gevent.joinall(waiting, timeout=20, raise_error=True)
    assert [each.value for each in waiting] == ["value"] * 50
    assert len(calls) == 1, calls

    ticks = []

    def tick():
        while True:
            gevent.sleep(0.001)
            ticks.append(1)

    ticker = gevent.spawn(tick)
    cache.mset({f"k{number}": number for number in range(200)})
    cache._engine.stack.memory.clear()

    def read(number):
        with gevent.Timeout(0.002 if number % 10 == 0 else 20, False):
            for turn in range(50):
                key = (number * 50 + turn) % 200
                assert cache.get(f"k{key}", MISSING) == key
                if turn % 10 == 0:
                    cache._engine.stack.memory.clear()

    gevent.joinall([gevent.spawn(read, number) for number in range(60)], timeout=30, raise_error=True)
    cache.invalidate("k1")
    assert cache.get("k1", MISSING) is MISSING
    assert ticks, "the hub stood still"
    ticker.kill()
print("fine")
