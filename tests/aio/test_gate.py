"""How many loads run at once, of tasks and threads together."""

import asyncio
import contextlib
import functools
import threading

import pytest

from greencache.errors import LoadTimeoutError
from tests.aio.loaders import HeldLoader, on_thread, soon


async def load_nothing():
    """Load at once."""
    return "value"


def test_tasks_and_threads_share_the_places_for_loads(run, make_cache):
    """No more run at once than are allowed, and all are served."""
    cache = make_cache(max_concurrent_loads=3)
    running, most = [], []

    @contextlib.contextmanager
    def counted():
        running.append(1)
        most.append(len(running))
        yield
        running.pop()

    async def load():
        with counted():
            await asyncio.sleep(0.005)

    def load_on_thread():
        with counted():
            threading.Event().wait(0.005)

    async def main():
        tasks = [cache.get_or_load(f"t{n}", load) for n in range(15)]
        plain = [cache.get_or_load(f"p{n}", load_on_thread) for n in range(15)]
        threads = [on_thread(cache.blocking.get_or_load, f"b{n}", load_on_thread) for n in range(15)]
        await asyncio.gather(*tasks, *plain, *threads)

    run(main())
    assert max(most) == 3
    assert len(most) == 45


def test_loads_are_let_through_in_the_order_in_which_they_came(run, make_cache):
    """First come, first served."""
    cache, order = make_cache(max_concurrent_loads=1), []

    async def main():
        async def load(n):
            order.append(n)
            await asyncio.sleep(0)

        await asyncio.gather(*(cache.get_or_load(f"k{n}", functools.partial(load, n)) for n in range(30)))

    run(main())
    assert order == list(range(30))


def test_who_finds_no_place_in_time_is_told_why_and_leaves_the_queue(run, make_cache):
    """The next one is let through as if it had not been there."""
    cache = make_cache(max_concurrent_loads=1, patience=0.2)

    async def main():
        loader = HeldLoader()
        first = asyncio.create_task(cache.get_or_load("a", loader))
        await loader.begun.wait()
        with pytest.raises(LoadTimeoutError, match="max_concurrent_loads"):
            await cache.get_or_load("b", load_nothing)
        loader.release.set()
        assert await first == "new"
        assert await cache.get_or_load("c", load_nothing) == "value"
        assert not cache._engine.reader.driver.gate._arrivals

    run(main())


def test_a_load_within_a_load_needs_no_place_of_its_own(run, make_cache):
    """Nor do loads that it begins side by side."""
    cache = make_cache(max_concurrent_loads=1, patience=5.0)

    async def outer():
        return await asyncio.gather(*(cache.get_or_load(f"k{n}", load_nothing) for n in range(3)))

    async def main():
        return await cache.get_or_load("outer", outer)

    assert run(main()) == ["value"] * 3


def test_who_is_cancelled_lets_nobody_down_who_queues_for_the_same_key(run, make_cache):
    """The load keeps its place in the queue, and goes on when its turn comes."""
    cache = make_cache(max_concurrent_loads=1)

    async def main():
        loader, own = HeldLoader(), HeldLoader("queued")
        own.release.set()
        first = asyncio.create_task(cache.get_or_load("a", loader))
        await loader.begun.wait()
        gate = cache._engine.reader.driver.gate
        queued = [asyncio.create_task(cache.get_or_load("b", own)) for _ in range(2)]
        await soon(lambda: len(gate._arrivals) == 2, "the load queues")
        queued.pop(0).cancel()
        await asyncio.sleep(0)
        loader.release.set()
        assert await asyncio.gather(first, *queued) == ["new", "queued"]
        assert own.calls == 1
        assert not gate._arrivals

    run(main())


def test_a_load_that_is_cancelled_while_it_queues_leaves_the_queue(run, make_cache):
    """Such as when its loop ends; those behind it move up."""
    cache = make_cache(max_concurrent_loads=1)
    gate = cache._engine.reader.driver.gate
    begun, release = threading.Event(), threading.Event()

    def hold():
        begun.set()
        assert release.wait(30)
        return 1

    async def queue():
        task = asyncio.create_task(cache.get_or_load("b", load_nothing))
        await soon(lambda: len(gate._arrivals) == 2, "the load queues")
        return task

    thread = threading.Thread(target=cache.blocking.get_or_load, args=("a", hold))
    thread.start()
    assert begun.wait(30)
    run(queue())
    assert len(gate._arrivals) == 1
    release.set()
    thread.join()
    assert run(cache.get_or_load("b", load_nothing)) == "value"


def test_a_load_that_another_load_waits_for_needs_no_place(run, make_cache):
    """Of tasks, of threads, or of both: they would wait for each other."""
    cache = make_cache(max_concurrent_loads=1)

    async def main():
        loader, may_ask = HeldLoader(), asyncio.Event()

        async def outer():
            loader.begun.set()
            await may_ask.wait()
            return await cache.get_or_load("shared", load_nothing)

        first = asyncio.create_task(cache.get_or_load("outer", outer))
        await loader.begun.wait()
        second = asyncio.create_task(on_thread(cache.blocking.get_or_load, "shared", lambda: "queued"))
        gate = cache._engine.reader.driver.gate
        await soon(lambda: len(gate._arrivals) == 2, "the thread queues")
        may_ask.set()
        async with asyncio.timeout(20):
            assert await asyncio.gather(first, second) == ["queued", "queued"]

    run(main())


def test_loads_that_depend_on_one_another_do_so_through_a_gate_for_one(run, make_cache):
    """However they are entangled."""
    cache = make_cache(max_concurrent_loads=1)

    async def load(depth):
        await asyncio.sleep(0)
        if depth == 20:
            return 0
        return 1 + await cache.get_or_load(f"k{depth + 1}", functools.partial(load, depth + 1))

    async def main():
        starts = [cache.get_or_load(f"k{n}", functools.partial(load, n)) for n in reversed(range(20))]
        async with asyncio.timeout(20):
            assert await asyncio.gather(*starts) == list(range(1, 21))

    run(main())
