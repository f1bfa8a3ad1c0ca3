"""One load per key for tasks and threads, and what becomes of it when callers leave."""

import asyncio
import functools
import threading

import pytest

from greencache import current_load
from greencache.errors import LoadTimeoutError
from tests.aio.loaders import LONGEST, HeldLoader, ThreadLoader, on_thread, soon


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


# -- loads within loads ----------------------------------------------------------------------------------


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


# -- callers that leave ----------------------------------------------------------------------------------


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
        while not cache._engine.flights:
            await asyncio.sleep(0)
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


# -- time-outs -------------------------------------------------------------------------------------------


def test_after_the_soft_timeout_a_stale_value_is_served(run, cache):
    """The load goes on, and what it returns is kept."""

    async def main():
        await cache.set("key", "old", ttl=0.01, stale_ttl=100)
        await asyncio.sleep(0.03)
        loader = HeldLoader()
        assert await cache.get_or_load("key", loader, soft_timeout=0.05) == "old"
        assert await cache.get_or_load("key", loader, soft_timeout=0.05) == "old"
        loader.release.set()
        await soon(lambda: not cache._engine.flights, "it has landed")
        assert await cache.get("key") == "new"
        assert loader.calls == 1

    run(main())


def test_after_the_hard_timeout_the_caller_is_told(run, cache):
    """The load goes on, and what it returns is kept."""

    async def main():
        loader = HeldLoader()
        with pytest.raises(LoadTimeoutError, match="its load goes on"):
            await cache.get_or_load("key", loader, hard_timeout=0.05)
        loader.release.set()
        await soon(lambda: not cache._engine.flights, "it has landed")
        assert await cache.get("key") == "new"

    run(main())


def test_who_loses_patience_with_a_load_that_hangs_leads_another(run, make_cache):
    """And its value is kept."""
    cache = make_cache(patience=0.2)

    async def main():
        hung = HeldLoader("late")
        first = asyncio.create_task(cache.get_or_load("key", hung))
        await hung.begun.wait()
        assert await cache.get_or_load("key", lambda: "new") == "new"
        assert await cache.get("key") == "new"
        hung.release.set()
        assert await first == "late"

    run(main())


def test_a_failed_load_leaves_the_stale_value_for_a_while(run, cache):
    """As long as `retry_after` says, the source is left in peace."""

    async def main():
        calls = []

        async def fail():
            calls.append(1)
            raise OSError("the source is away")

        await cache.set("key", "old", ttl=0.01, stale_ttl=100)
        await asyncio.sleep(0.03)
        for _ in range(3):
            assert await cache.get_or_load("key", fail, retry_after=100) == "old"
        assert len(calls) == 1

    run(main())


def test_what_does_not_exist_is_remembered(run, cache):
    """For `negative_ttl` seconds, for one key and for those that a batch loader left out."""

    async def main():
        calls = []

        async def nothing(*keys):
            calls.append(keys)
            return {} if keys else None

        for _ in range(2):
            assert await cache.get_or_load("key", nothing, ttl=0, negative_ttl=100) is None
            assert await cache.get_or_load_many(["other"], nothing, negative_ttl=100) == {}
        assert len(calls) == 2

    run(main())


# -- what happens meanwhile ------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["key", "tag", "late tag", "clear"])
def test_what_was_invalidated_while_it_was_loaded_is_returned_and_not_stored(run, cache, how):
    """Even from within the loader."""

    async def load():
        if how == "late tag":
            current_load().tags.add("late")
            await cache.invalidate(tags=["late"])
        elif how == "clear":
            await cache.clear()
        else:
            await cache.invalidate(*["key"] * (how == "key"), tags=["tag"] * (how == "tag"))
        return "outdated"

    async def main():
        assert await cache.get_or_load("key", load, tags=["tag"]) == "outdated"
        assert await cache.get("key") is None

    run(main())


def test_what_is_due_is_served_and_reloaded_once_in_the_background(run, cache):
    """Outside any load, and in no context but its own."""
    loads = []

    async def load():
        load = current_load()
        loads.append((load.keys, load.outer))
        await asyncio.sleep(0)
        return "new"

    async def within():
        return [await cache.get_or_load("key", load) for _ in range(5)]

    async def main():
        await cache.set("key", "old", ttl=100, refresh_ahead=0.0001)
        await asyncio.sleep(0.03)
        assert await cache.get_or_load("outer", within) == ["old"] * 5
        await soon(lambda: cache._engine.peek("key").value == "new", "it was reloaded")
        await soon(lambda: not cache._engine.reader._reloading, "the reload has ended")

    run(main())
    assert loads == [(("key",), None)]


def test_a_reload_that_fails_is_recorded_and_disturbs_nobody(run, make_cache):
    """Nobody waits for it."""
    events = []

    class Recorder:
        def record(self, event):
            events.append(event.kind.name)

    cache = make_cache(recorder=Recorder())

    async def fail():
        raise OSError("the source is away")

    async def main():
        await cache.set("key", "old", ttl=100, refresh_ahead=0.0001)
        await asyncio.sleep(0.03)
        assert await cache.get_or_load("key", fail) == "old"
        await soon(lambda: "LOAD_FAILED" in events, "it has failed")
        await soon(lambda: not cache._engine.reader._reloading, "it has ended")
        assert await cache.get("key") == "old"

    run(main())
