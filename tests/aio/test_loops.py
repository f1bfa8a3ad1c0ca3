"""Several event loops, and loops that end with loads under way."""

import asyncio
import threading

import pytest
import redis

from greencache.testing import wait_until
from tests.aio.loaders import LONGEST, HeldLoader, ThreadLoader, on_thread, soon


def _leases(url):
    with redis.Redis.from_url(url) as client:
        return list(client.scan_iter("gc:l:*"))


def test_two_loops_share_a_load(run, cache):
    """Tasks of one wait for what is loaded on the other."""

    async def main():
        loader, own = HeldLoader(), HeldLoader()
        task = asyncio.create_task(cache.get_or_load("key", loader))
        await loader.begun.wait()
        flight = cache._engine.flights.under_way("key")
        before = len(flight.future._done_callbacks)
        others = [
            asyncio.create_task(on_thread(asyncio.run, cache.get_or_load("key", own))) for _ in range(3)
        ]
        await soon(lambda: len(flight.future._done_callbacks) == before + 3, "the others wait")
        loader.release.set()
        assert await asyncio.gather(task, *others) == ["new"] * 4
        assert (loader.calls, own.calls) == (1, 0)

    run(main())


def test_loops_and_threads_beside_each_other_load_each_key_once(run, cache):
    """Whoever leads."""
    calls = []

    def load(key):
        calls.append(key)
        return key

    async def ask_all():
        keys = [f"k{n}" for n in range(40)]

        async def loaded(key):
            await asyncio.sleep(0)
            return load(key)

        return await asyncio.gather(*(cache.get_or_load(k, lambda k=k: loaded(k)) for k in keys))

    def ask_all_on_thread():
        return [cache.blocking.get_or_load(f"k{n}", lambda n=n: load(f"k{n}")) for n in range(40)]

    async def main():
        loops = [on_thread(asyncio.run, ask_all()) for _ in range(3)]
        threads = [on_thread(ask_all_on_thread) for _ in range(3)]
        for found in await asyncio.gather(*loops, *threads):
            assert found == [f"k{n}" for n in range(40)]

    run(main())
    assert len(calls) == len(set(calls)) == 40


@pytest.mark.parametrize("kind", ["awaited", "plain"])
def test_a_loop_that_ends_gives_back_what_its_loads_hold(run, shared, redis_url, kind):
    """A thread that waits for such a load goes on with its own."""
    plain, waiting = ThreadLoader(), []

    async def main():
        loader = plain if kind == "plain" else HeldLoader()
        waiting.append(asyncio.create_task(shared.get_or_load("key", loader)))
        await soon(loader.begun.is_set, "the load has begun")
        assert _leases(redis_url)
        flight = shared._engine.flights.under_way("key")
        thread = threading.Thread(
            target=lambda: waiting.append(shared.blocking.get_or_load("key", lambda: "own")), daemon=True
        )
        thread.start()
        await soon(lambda: flight.future._condition._waiters, "the thread waits")
        return thread

    thread = run(main())
    thread.join(LONGEST)
    plain.release.set()
    assert waiting[1:] == ["own"]
    wait_until(lambda: not _leases(redis_url), reason="no lease is left")
    assert not shared._engine.flights
    assert shared.blocking.get("key") == "own"


def test_a_loop_that_ends_in_the_middle_of_a_step_gives_back_its_leases_when_that_is_done(
    run, shared, redis_url, monkeypatch
):
    """The thread that does the step closes the read."""
    elector = shared._engine.stack.authority
    begun, may_end = threading.Event(), threading.Event()
    reserve = elector.reserve_and_get

    def slowly(keys):
        answer = reserve(keys)
        begun.set()
        assert may_end.wait(LONGEST)
        return answer

    monkeypatch.setattr(elector, "reserve_and_get", slowly)
    waiting = []

    async def main():
        waiting.append(asyncio.create_task(shared.get_or_load("key", HeldLoader())))
        await soon(begun.is_set, "the lease is taken")

    run(main())
    assert not shared._engine.flights
    assert _leases(redis_url)
    may_end.set()
    wait_until(lambda: not _leases(redis_url), reason="no lease is left")


def test_a_loop_closed_with_its_tasks_left_alone_holds_up_nobody(run, cache):
    """As soon as another loop uses the cache, what was under way on the closed one has landed."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)
    loader = HeldLoader()
    task = loop.create_task(cache.get_or_load("key", loader))
    loop.run_until_complete(loader.begun.wait())
    loop.close()

    async def main():
        # Any other use of this loop.
        await cache.get_or_load("other", lambda: 1)
        async with asyncio.timeout(20):
            assert await cache.get_or_load("key", lambda: "own") == "own"

    run(main())
    assert not cache._engine.flights
    assert not task.done()
