"""Loads within loads."""

import asyncio
import functools
import threading

import pytest

from greencache import current_load
from greencache.errors import InvalidArgumentError
from tests.aio.loaders import LONGEST, soon


@pytest.mark.parametrize("verb", ["get_or_load", "get_or_load_many"])
def test_a_loader_that_asks_for_its_own_key_loads_within(run, cache, verb):
    """It waits for nobody, itself least of all."""
    ask = getattr(cache, verb)
    key = "key" if verb == "get_or_load" else ["key"]

    async def inner(*keys):
        await asyncio.sleep(0)
        return dict.fromkeys(*keys, "inner") if keys else "inner"

    async def outer(*keys):
        return await asyncio.create_task(ask(key, inner))

    assert run(ask(key, outer)) in ("inner", {"key": "inner"})


def test_loads_may_ask_for_other_keys_a_hundred_deep(run, cache):
    """From many tasks at once, although there are fewer threads."""
    calls = []

    async def load(depth):
        calls.append(depth)
        if depth == 100:
            return 0
        return 1 + await cache.get_or_load(f"k{depth + 1}", functools.partial(load, depth + 1))

    async def main():
        starts = [cache.get_or_load(f"k{n}", functools.partial(load, n)) for n in range(0, 100, 10)]
        assert await asyncio.gather(*starts) == [100 - n for n in range(0, 100, 10)]

    run(main())
    assert sorted(calls) == list(range(101))


def test_loaders_that_block_on_the_load_of_a_task_do_not_keep_it_from_its_threads(run, make_cache, redis_url):
    """Neither its steps nor its own loader, which blocks, too, wait for a thread that they hold."""
    cache = make_cache(l3=redis_url, max_concurrent_loads=None)

    async def main():
        all_begun = threading.Barrier(81)

        def outer():
            all_begun.wait(LONGEST)
            return cache.blocking.get_or_load("shared", lambda: "thread")

        def inner():
            all_begun.wait(LONGEST)
            return "task"

        asked = asyncio.create_task(cache.get_or_load("shared", inner))
        tasks = [asyncio.create_task(cache.get_or_load(f"k{n}", outer)) for n in range(80)]
        assert await asyncio.gather(asked, *tasks) == ["task"] * 81

    async def in_time():
        # Sooner than anybody loses patience.
        async with asyncio.timeout(20):
            await main()

    run(in_time())


def test_a_task_that_outlives_the_loader_which_began_it_is_no_part_of_its_load(run, make_cache):
    """It may remark on nothing any more, and what it loads queues as anybody's."""
    cache, tasks = make_cache(max_concurrent_loads=1), []

    async def go_on():
        assert current_load().keys == ("key",)
        await soon(lambda: cache._engine.peek("key") is not None, "the load has ended")
        with pytest.raises(InvalidArgumentError):
            current_load()
        assert not cache._engine.reader.driver.gate.is_passed

    async def load():
        tasks.append(asyncio.create_task(go_on()))
        await asyncio.sleep(0)

    async def main():
        await cache.get_or_load("key", load)
        await tasks[0]

    run(main())
