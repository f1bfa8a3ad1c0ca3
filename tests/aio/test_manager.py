"""The same verbs with the same results and errors as of the blocking cache; its beginnings and its end."""

import asyncio
import gc
import os
import threading

import pytest

from greencache import CacheTier
from greencache.aio import CacheManager as AsyncCacheManager
from greencache.config import CacheConfig
from greencache.errors import InvalidKeyError, NotReplicatedError
from greencache.testing import wait_until
from tests.aio.loaders import HeldLoader, ThreadLoader, on_thread, soon, threads_named


def test_looks_at_the_cache_show_what_the_blocking_ones_show(run, cache):
    """Explanations, health, sizes, counts."""

    async def main():
        await cache.set("a", 1)
        blocking = cache.blocking
        assert (await cache.explain("a")).answered_by is CacheTier.L1
        assert (await cache.explain("a")).as_dict().keys() == blocking.explain("a").as_dict().keys()
        assert (await cache.health_check()).as_dict().keys() == blocking.health_check().as_dict().keys()
        assert (await cache.get_usage()).keys() == blocking.get_usage().keys()
        assert (await cache.get_stats())["L1"].hits == blocking.get_stats()["L1"].hits
        with pytest.raises(InvalidKeyError):
            await cache.explain("")

    run(main())


def test_durable_writes_say_that_there_is_no_replica(run, shared):
    """As the blocking ones do."""

    async def main():
        outcomes = await asyncio.gather(
            shared.set("a", 1, durable=True),
            shared.mset({"a": 1}, durable=True),
            shared.delete("a", durable=True),
            shared.mdelete(["a"], durable=True),
            shared.invalidate("a", durable=True),
            shared.clear(durable=True),
            return_exceptions=True,
        )
        assert [type(outcome) for outcome in outcomes] == [NotReplicatedError] * 6

    run(main())


def test_a_facade_over_a_blocking_cache_is_the_same_cache(run, cache):
    """What one stores the other finds."""

    async def main():
        blocking = cache.blocking
        facade = AsyncCacheManager.over(blocking)
        assert facade.blocking is blocking
        assert facade.namespace == blocking.namespace == "aio"
        await on_thread(blocking.set, "a", 1)
        assert await facade.get("a") == 1
        await facade.set("a", 2)
        assert await on_thread(blocking.get, "a") == 2

    run(main())


def test_caches_are_made_as_blocking_ones_are(run, redis_url):
    """Of URLs, of a configuration, of tiers."""

    async def main():
        config = CacheConfig.model_validate({"namespace": "made", "l3": {"url": redis_url}})
        async with AsyncCacheManager.from_config(config) as one:
            assert await one.initialize(strict=True) is one
            await one.set("a", 1)
            async with AsyncCacheManager.from_urls(l1=None, l3=redis_url, namespace="made") as other:
                assert await other.get("a") == 1
        async with AsyncCacheManager(namespace="memory") as third:
            assert third.namespace == "memory"
            assert await third.get("a") is None

    run(main())


# -- the end ---------------------------------------------------------------------------------------------


def test_closing_waits_for_what_is_under_way_and_ends_the_threads(run, redis_url):
    """Loads and writes of all loops are finished."""
    before = set(threading.enumerate())

    async def main():
        cache = AsyncCacheManager.from_urls(l3=redis_url, namespace="aio")
        await cache.initialize()
        loader, plain = HeldLoader("loaded"), ThreadLoader("loaded")
        tasks = [asyncio.create_task(cache.get_or_load("a", loader))]
        tasks.append(asyncio.create_task(cache.get_or_load("b", plain)))
        tasks.append(asyncio.create_task(cache.write("c", 1, lambda _: loader())))
        await soon(lambda: loader.calls == 2 and plain.calls == 1, "all have begun")
        other_loop = asyncio.create_task(on_thread(asyncio.run, cache.get_or_load("d", plain)))
        await soon(lambda: plain.calls == 2, "another loop loads")
        closing = asyncio.create_task(cache.close())
        await asyncio.sleep(0.05)
        assert not closing.done()
        loader.release.set()
        plain.release.set()
        await closing
        assert await asyncio.gather(*tasks, other_loop) == ["loaded", "loaded", None, "loaded"]
        await cache.close()

    run(main())
    ours = {"greencache-aio", "greencache-bus", "greencache-background"}
    wait_until(
        lambda: not [t for t in set(threading.enumerate()) - before if t.name.rsplit("_")[0] in ours],
        reason="the threads have ended",
    )


def test_closing_cancels_what_hangs(run, make_cache):
    """Its caller is told, and nothing stays under way."""
    cache = make_cache()

    async def main():
        loader = HeldLoader()
        task = asyncio.create_task(cache.get_or_load("a", loader))
        await loader.begun.wait()
        await cache._reader.close(within=0.05)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not cache._engine.flights

    run(main())


def test_a_closed_cache_does_what_a_closed_blocking_one_does(run, make_cache, redis_url):
    """No more and no less."""
    cache, twin = make_cache(l3=redis_url), make_cache(l3=redis_url, namespace="twin").blocking

    async def main():
        await cache.close()
        await on_thread(twin.close)
        for verb, arguments in (("get_or_load", ("a", lambda: 1)), ("get", ("a",)), ("delete", ("a",))):
            outcomes = await asyncio.gather(
                getattr(cache, verb)(*arguments),
                on_thread(getattr(twin, verb), *arguments),
                return_exceptions=True,
            )
            assert repr(outcomes[0]) == repr(outcomes[1])
        await cache.close()

    run(main())


def test_loaders_and_writers_that_block_enter_the_scope(run):
    """They run on threads of the cache's own."""
    entered = []

    class Scope:
        def __enter__(self):
            entered.append(threading.current_thread().name)

        def __exit__(self, *_):
            pass

    async def main():
        async with AsyncCacheManager(background_scope=Scope) as cache:
            await cache.get_or_load("a", lambda: 1)
            await cache.write("b", 2, lambda _: None)

    run(main())
    assert all(name.startswith("greencache-aio") for name in entered)
    assert len(entered) == 2


# -- forks and loops -------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_forked_while_tasks_load_uses_the_cache_and_disturbs_nobody(run, shared):
    """It has threads and tasks of its own; the parent's load keeps its lease and is stored."""

    async def main():
        loader = HeldLoader()
        task = asyncio.create_task(shared.get_or_load("key", loader))
        await loader.begun.wait()
        child = os.fork()
        if child == 0:
            os._exit(_in_child(shared))
        status = await on_thread(os.waitpid, child, 0)
        assert os.waitstatus_to_exitcode(status[1]) == 0
        assert await shared.get("child") == "stored"
        loader.release.set()
        assert await task == "new"
        shared.blocking._engine.stack.memory.drop_many(["key"])
        assert await shared.get("key") == "new"

    run(main())


def _in_child(cache):
    async def use():
        assert not cache._engine.flights
        await cache.set("child", "stored")
        assert await cache.get_or_load("other", lambda: 1) == 1
        assert await cache.get_or_load("next", lambda: threads_named("greencache-aio") != []) is True

    try:
        # In a thread of its own, since this one is in the middle of the parent's loop.
        failures = []

        def run():
            try:
                asyncio.run(use())
                gc.collect()
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join(20)
        return 1 if failures or thread.is_alive() else 0
    except BaseException:
        return 2


def test_a_cache_outlives_its_loops(run, cache):
    """One after another, and nothing refers to those that are closed."""

    async def main(n):
        assert await cache.get_or_load(f"k{n}", lambda: n) == n
        assert await cache.get("k0") == 0

    for n in range(5):
        run(main(n))
    assert len(cache._reader._tasks._running) == 1
