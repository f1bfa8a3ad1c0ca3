"""Hits in L1 are answered in the loop, at once."""

import asyncio

import pytest

from greencache import MISSING
from greencache.aio import CacheManager
from tests.aio.loaders import on_thread
from tests.loading.loaders import hear


def _result_without_yielding(coroutine):
    """Return the result of a coroutine that asks nothing of the loop."""
    with pytest.raises(StopIteration) as end:
        coroutine.send(None)
    return end.value.value


@pytest.fixture
def warm(run, cache, monkeypatch):
    """A cache with two keys in L1, which starts no thread and no task for anybody."""
    run(cache.mset({"a": 1, "b": None}))

    def refuse(*_):
        raise AssertionError("a hit in L1 left the loop")

    monkeypatch.setattr(cache._offload, "_submit", refuse)
    monkeypatch.setattr(cache._functions.offload, "_submit", refuse)
    monkeypatch.setattr(cache._reader._tasks, "begin", refuse)
    return cache


def test_a_hit_is_answered_without_a_thread_a_task_or_a_turn_of_the_loop(warm):
    """Whatever the verb; the loader is not looked at."""
    before = warm.blocking.get_stats()["L1"].hits
    assert _result_without_yielding(warm.get("a")) == 1
    assert _result_without_yielding(warm.get("b", "default")) is None
    assert _result_without_yielding(warm.mget(["a", "b"])) == {"a": 1, "b": None}
    assert _result_without_yielding(warm.get_or_load("a", None)) == 1
    assert _result_without_yielding(warm.get_or_load_many(["a", "b"], None)) == {"a": 1, "b": None}
    assert warm.blocking.get_stats()["L1"].hits == before + 7


def test_in_memory_alone_nothing_needs_a_thread(run):
    """Not even writes and looks at the cache, nor loads that are awaited."""
    cache = CacheManager()
    cache._offload = cache._driver = None

    async def load():
        await asyncio.sleep(0)
        return "loaded"

    async def main():
        await cache.set("a", 1)
        await cache.mset({"b": 2})
        await cache.write("c", 3, load_of)
        assert await cache.get("missing", MISSING) is MISSING
        assert await cache.get_or_load("d", load) == "loaded"
        assert await cache.refresh("d", load) == "loaded"
        assert await cache.get_or_load_many(["e"], none_of, negative_ttl=100) == {}
        assert await cache.get_or_load("e", load) == "loaded"
        assert await cache.delete("a")
        assert await cache.invalidate("b", pattern="d*") == 2
        await cache.clear()
        assert (await cache.health_check())["L1"]
        await cache.explain("a")
        await cache.get_usage()

    async def load_of(_):
        await asyncio.sleep(0)

    async def none_of(_):
        return {}

    run(main())
    cache.blocking.close()


def test_a_value_that_is_found_below_is_in_memory_afterwards(run, make_cache, redis_url):
    """Hits climb."""
    one, other = make_cache(l3=redis_url), make_cache(l3=redis_url)

    async def main():
        await one.set("key", "value")
        await on_thread(hear, other, one)
        assert await other.get("key") == "value"
        assert _result_without_yielding(other.get("key")) == "value"

    run(main())
