"""One load per key for tasks and threads, and what becomes of it when callers leave."""

import asyncio

import pytest

from tests.aio.loaders import HeldLoader, ThreadLoader, on_thread, soon


def _joined(cache, key, count):
    flight = cache._engine.flights.under_way(key)
    return flight is not None and len(flight.future._done_callbacks) >= count


def test_a_thousand_tasks_cost_one_load(run, cache):
    """All get what it returns."""

    async def main():
        loader = HeldLoader()
        tasks = [asyncio.create_task(cache.get_or_load("key", loader)) for _ in range(1000)]
        await soon(lambda: _joined(cache, "key", 1000), "all have joined")
        loader.release.set()
        assert set(await asyncio.gather(*tasks)) == {"new"}
        assert loader.calls == 1
        assert not cache._engine.flights

    run(main())


def test_threads_wait_for_the_load_of_a_task(run, cache):
    """A loader that is awaited serves those who block."""

    async def main():
        loader, own = HeldLoader(), ThreadLoader()
        task = asyncio.create_task(cache.get_or_load("key", loader))
        await loader.begun.wait()
        threads = [asyncio.create_task(on_thread(cache.blocking.get_or_load, "key", own)) for _ in range(4)]
        flight = cache._engine.flights.under_way("key")
        await soon(lambda: len(flight.future._condition._waiters) == 4, "the threads wait")
        loader.release.set()
        assert await asyncio.gather(task, *threads) == ["new"] * 5
        assert (loader.calls, own.calls) == (1, 0)

    run(main())


def test_tasks_wait_for_the_load_of_a_thread(run, cache):
    """And nobody's loop is blocked meanwhile."""

    async def main():
        loader, own = ThreadLoader(), HeldLoader()
        thread = asyncio.create_task(on_thread(cache.blocking.get_or_load, "key", loader))
        await soon(loader.begun.is_set, "the thread loads")
        tasks = [asyncio.create_task(cache.get_or_load("key", own)) for _ in range(20)]
        await soon(lambda: _joined(cache, "key", 20), "the tasks wait")
        loader.release.set()
        assert await asyncio.gather(thread, *tasks) == ["new"] * 21
        assert (loader.calls, own.calls) == (1, 0)

    run(main())


def test_two_caches_over_one_server_load_once(run, make_cache, redis_url):
    """Who waits for another process is woken when it has landed."""
    one, other = make_cache(l3=redis_url), make_cache(l3=redis_url)

    async def main():
        loader, own = HeldLoader(), HeldLoader()
        first = asyncio.create_task(one.get_or_load("key", loader))
        await loader.begun.wait()
        second = asyncio.create_task(other.get_or_load("key", own))
        waiters = other._engine.reader.leader.waiters
        await soon(lambda: "key" in waiters._wakes, "the other one waits")
        loader.release.set()
        assert await asyncio.gather(first, second) == ["new", "new"]
        assert (loader.calls, own.calls) == (1, 0)

    run(main())


def test_batches_load_what_nobody_else_is_loading(run, cache):
    """And wait for the rest."""

    async def main():
        loader, own = HeldLoader("first"), HeldLoader("second")
        own.release.set()
        asked = []

        async def load(keys):
            asked.extend(keys)
            return await own(keys)

        first = asyncio.create_task(cache.get_or_load_many(["a", "b"], loader))
        await loader.begun.wait()
        second = asyncio.create_task(cache.get_or_load_many(["b", "c"], load))
        await soon(lambda: asked, "the second loads")
        loader.release.set()
        assert await first == {"a": "first", "b": "first"}
        assert await second == {"b": "first", "c": "second"}
        assert asked == ["c"]

    run(main())


# -- callers that leave --------------------------------------------------------------------------------


@pytest.mark.parametrize("leaver", [0, 1], ids=["who leads", "who follows"])
def test_who_is_cancelled_ends_nobody_elses_load(run, cache, leaver):
    """The load goes on for the others, and is stored."""

    async def main():
        loader = HeldLoader()
        tasks = [asyncio.create_task(cache.get_or_load("key", loader)) for _ in range(3)]
        await loader.begun.wait()
        await soon(lambda: _joined(cache, "key", 3), "all have joined")
        left = tasks.pop(leaver)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        loader.release.set()
        assert await asyncio.gather(*tasks) == ["new", "new"]
        assert loader.calls == 1
        assert await cache.get("key") == "new"

    run(main())


def test_a_load_that_nobody_waits_for_any_more_is_kept(run, cache):
    """Whatever ended the wait."""

    async def main():
        loader = HeldLoader()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await cache.get_or_load("key", loader)
        await loader.begun.wait()
        loader.release.set()
        await soon(lambda: not cache._engine.flights, "it has landed")
        assert await cache.get("key") == "new"

    run(main())


def test_a_load_cancelled_before_its_first_step_holds_up_nobody(run, cache):
    """Such as when the loop ends at once: its flight lands, and the next caller leads."""

    async def main():
        asker = asyncio.create_task(cache.get_or_load("key", HeldLoader()))
        before = asyncio.all_tasks()
        for _ in range(2):
            # The caller has come as far as to begin the load, whose first step is yet to come.
            if not cache._engine.flights:
                await asyncio.sleep(0)
        assert cache._engine.flights
        for task in asyncio.all_tasks() - before:
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asker
        assert not cache._engine.flights
        async with asyncio.timeout(10):
            assert await cache.get_or_load("key", lambda: "next") == "next"

    run(main())


def test_a_reload_cancelled_before_its_first_step_can_be_tried_again(run, cache):
    """Its key is not taken for one that is being reloaded."""

    async def main():
        await cache.set("key", "old", ttl=100, refresh_ahead=0.0001)
        await asyncio.sleep(0.03)
        before = asyncio.all_tasks()
        assert await cache.get_or_load("key", lambda: "lost") == "old"
        reloads = asyncio.all_tasks() - before
        assert len(reloads) == 1
        for task in reloads:
            task.cancel()
        await asyncio.wait(reloads)
        await asyncio.sleep(0)
        assert cache._engine.reader.claim(["key"]) == ["key"]

    run(main())
