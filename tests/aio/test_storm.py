"""Callers cancelled at random; a loop that is never blocked; nothing for asyncio to complain of."""

import asyncio
import gc
import logging
import random
import threading
import time

import redis

from greencache.testing import wait_until
from tests.aio.loaders import soon

CALLS = 2000
KEYS = 40


async def _slow(key):
    await asyncio.sleep(random.random() * 0.01)
    return f"value of {key}"


def _slow_on_thread(key):
    time.sleep(random.random() * 0.002)
    return f"value of {key}"


async def _ask(cache, number, wrong):
    key = f"k{random.randrange(KEYS)}"
    match number % 6:
        case 0:
            answer = await cache.get_or_load(key, lambda: _slow_on_thread(key))
        case 1:
            answer = (
                await cache.get_or_load_many([key], lambda keys: {k: _slow_on_thread(k) for k in keys})
            )[key]
        case 2:
            answer = await cache.get(key, f"value of {key}")
        case 3:
            await cache.invalidate(key)
            return
        case 4:
            await cache.set(key, f"value of {key}")
            return
        case _:
            answer = await cache.get_or_load(key, lambda: _slow(key))
    if answer != f"value of {key}":
        wrong.append((key, answer))


def test_after_two_thousand_calls_cancelled_at_random_nothing_is_left_behind(
    run, make_cache, redis_url, caplog
):
    """No wrong value, no lease, no flight, no task, no thread, no complaint."""
    cache, wrong, ended = make_cache(l3=redis_url), [], []

    async def storm():
        alive = set()
        for number in range(CALLS):
            task = asyncio.create_task(_ask(cache, number, wrong))
            alive.add(task)
            task.add_done_callback(alive.discard)
            if random.random() < 0.7:
                asyncio.get_running_loop().call_later(random.random() * 0.02, task.cancel)
            if number % 20 == 0:
                await asyncio.sleep(0.004)
        ended.extend(await asyncio.gather(*alive, return_exceptions=True))

    async def main():
        # In debug mode, what the storm itself takes is not complained of.
        asyncio.get_running_loop().slow_callback_duration = 5.0
        before = asyncio.all_tasks()
        await storm()
        await soon(lambda: asyncio.all_tasks() == before, "the loads that nobody waits for have ended")
        threads = threading.active_count()
        await storm()
        await soon(lambda: asyncio.all_tasks() == before, "the loads that nobody waits for have ended")
        assert threading.active_count() <= threads + 8

    with caplog.at_level(logging.WARNING, "asyncio"):
        run(main())
        gc.collect()
    assert not wrong
    failed = [end for end in ended if isinstance(end, BaseException)]
    assert all(isinstance(end, asyncio.CancelledError) for end in failed), failed
    assert not cache._engine.flights
    assert not cache._engine.reader.leader.waiters._wakes
    assert not cache._engine.reader.driver.gate._arrivals
    with redis.Redis.from_url(redis_url) as client:
        wait_until(lambda: not list(client.scan_iter("gc:l:*")), reason="no lease is left")
    assert not [record for record in caplog.records if record.name == "asyncio"]


def test_the_loop_is_never_blocked_while_loads_go_through_the_server(run, shared):
    """A task that ticks sees no gap in which a server was waited for."""
    server = shared._engine.stack.authority.tier
    gaps, in_loop = [], []
    main_thread = threading.get_ident()
    # The proof: nothing that talks to the server is called on the thread of the loop.
    for name in ("get_many", "reserve_many", "fill_many", "drop_many", "put_many"):
        call = getattr(server, name)

        def watched(*arguments, call=call, **options):
            in_loop.append(threading.get_ident() == main_thread)
            return call(*arguments, **options)

        setattr(server, name, watched)

    async def tick(is_over):
        last = time.monotonic()
        while not is_over.is_set():
            await asyncio.sleep(0.001)
            now = time.monotonic()
            gaps.append(now - last)
            last = now

    async def main():
        is_over = asyncio.Event()
        ticking = asyncio.create_task(tick(is_over))
        for batch in range(5):
            await asyncio.gather(*(shared.get_or_load(f"{batch}:{n}", lambda: _slow("a")) for n in range(40)))
            await shared.invalidate(f"{batch}:0", pattern=f"{batch}:1*")
        is_over.set()
        await ticking

    run(main())
    assert in_loop
    assert not any(in_loop)
    # Far more than it takes on a machine that does nothing else, far less than a time-out of a server.
    assert max(gaps) < 1.0


def test_debug_mode_finds_nothing_to_complain_of(run, make_cache, redis_url, caplog):
    """Nothing never awaited, never retrieved, or called from a wrong thread."""
    cache = make_cache(l3=redis_url)

    async def fail():
        await asyncio.sleep(0)
        raise ValueError("nobody waits")

    async def main():
        asyncio.get_running_loop().slow_callback_duration = 1.0
        tasks = [asyncio.create_task(cache.get_or_load(f"f{n}", fail)) for n in range(20)]
        tasks += [asyncio.create_task(cache.get_or_load(f"g{n}", lambda: 1 / 0)) for n in range(20)]
        tasks += [asyncio.create_task(cache.set(f"s{n}", object, ttl=-1)) for n in range(20)]
        tasks += [asyncio.create_task(cache.write(f"w{n}", 1, lambda _: fail())) for n in range(20)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, BaseException) for result in results)
        assert await cache.get_or_load("a", lambda: _slow("a")) == "value of a"
        await soon(lambda: len(asyncio.all_tasks()) == 1, "all have ended")

    with caplog.at_level(logging.WARNING, "asyncio"):
        run(main(), debug=True)
        gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"]


def test_errors_of_many_loads_are_one_group_to_a_task_group(run, cache):
    """Each unchanged; the tasks beside are cancelled, the load of another caller is not."""

    async def fail():
        raise ValueError("no source")

    async def slow():
        await asyncio.sleep(0.05)
        return "value"

    async def main():
        outside = asyncio.create_task(cache.get_or_load("slow", slow))
        try:
            async with asyncio.TaskGroup() as group:
                for n in range(3):
                    group.create_task(cache.get_or_load(f"k{n}", fail))
                beside = group.create_task(cache.get_or_load("slow", slow))
        except* ValueError as errors:
            assert {str(error) for error in errors.exceptions} == {"no source"}  # noqa: PT017
        assert beside.cancelled()
        assert await outside == "value"

    run(main())
