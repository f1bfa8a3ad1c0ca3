"""What may be given as a loader, where it runs, and how many run at once."""

import asyncio
import concurrent.futures
import functools
import threading

import pytest

from greencache import NOT_MODIFIED, current_load
from greencache.aio import CacheManager
from greencache.errors import InvalidArgumentError, UnsupportedFunctionError
from tests.aio.loaders import HeldLoader, ThreadLoader, soon

LOOP = threading.main_thread()


async def _awaited(value="value"):
    await asyncio.sleep(0)
    return value, threading.current_thread()


def _plain(value="value"):
    return value, threading.current_thread()


class _Asked:
    async def __call__(self):
        return await _awaited()

    async def method(self):
        return await _awaited()

    def plain(self):
        return _plain()


@functools.wraps(_awaited)
def _wrapper_of_a_coroutine_function():
    return asyncio.run(_awaited())[0], threading.current_thread()


@functools.wraps(_plain)
async def _wrapper_of_a_plain_function():
    return await _awaited()


IN_LOOP = {
    "coroutine function": _awaited,
    "partial": functools.partial(_awaited, "value"),
    "lambda that returns a coroutine": lambda: _awaited("value"),
    "partial of a lambda": functools.partial(lambda text: _awaited(value=text), "value"),
    "object with async __call__": _Asked(),
    "partial of such an object": functools.partial(_Asked()),
    "method": _Asked().method,
    "coroutine function around a plain one": _wrapper_of_a_plain_function,
}
ON_THREAD = {
    "function": _plain,
    "partial": functools.partial(_plain, "value"),
    "lambda": lambda: _plain("value"),
    "method": _Asked().plain,
    "plain function around a coroutine function": _wrapper_of_a_coroutine_function,
}


@pytest.mark.parametrize("loader", IN_LOOP.values(), ids=IN_LOOP)
def test_what_awaits_runs_in_the_loop(run, loader):
    """Whatever the form in which it is given."""
    with CacheManager().blocking as blocking:
        value, thread = run(CacheManager.over(blocking).get_or_load("key", loader))
    assert (value, thread) == ("value", LOOP)


@pytest.mark.parametrize("loader", ON_THREAD.values(), ids=ON_THREAD)
def test_what_blocks_runs_on_a_thread(run, loader):
    """Also if it wraps something that could be awaited."""
    with CacheManager().blocking as blocking:
        value, thread = run(CacheManager.over(blocking).get_or_load("key", loader))
    assert value == "value"
    assert thread is not LOOP


@pytest.mark.parametrize("kind", ["awaited", "plain"])
def test_a_loader_can_remark_on_its_load(run, cache, kind):
    """Wherever it runs; and nowhere else is a load under way."""

    def remark():
        load = current_load()
        assert load.keys == ("key",)
        load.tags.add("late")
        load.decline()
        return "value"

    async def remark_awaited():
        await asyncio.sleep(0)
        return remark()

    async def main():
        assert await cache.get_or_load("key", remark if kind == "plain" else remark_awaited) == "value"
        assert await cache.get("key") is None
        with pytest.raises(InvalidArgumentError):
            current_load()

    run(main())


@pytest.mark.parametrize("kind", ["awaited", "plain"])
@pytest.mark.parametrize(
    "error", [ValueError("x"), TimeoutError("x"), StopAsyncIteration(), concurrent.futures.CancelledError()]
)
def test_what_a_loader_raises_is_raised_unchanged_to_all_who_wait(run, cache, error, kind):
    """One load, one error."""

    async def main():
        loader = HeldLoader(error) if kind == "awaited" else ThreadLoader(error)
        tasks = [asyncio.create_task(cache.get_or_load("key", loader)) for _ in range(5)]
        await soon(loader.begun.is_set, "the load has begun")
        loader.release.set()
        assert all(raised is error for raised in await asyncio.gather(*tasks, return_exceptions=True))
        assert loader.calls == 1
        assert not cache._engine.flights

    run(main())


@pytest.mark.parametrize("kind", ["awaited", "plain"])
def test_stop_iteration_hangs_nobody(run, cache, kind):
    """Python lets it leave no coroutine: it is the cause of a RuntimeError."""

    def stop():
        raise StopIteration(3)

    async def stop_awaited():
        raise StopIteration(3)

    async def main():
        with pytest.raises(RuntimeError, match="StopIteration"):
            await cache.get_or_load("key", stop if kind == "plain" else stop_awaited)
        assert not cache._engine.flights

    run(main())


@pytest.mark.parametrize("verb", ["get_or_load", "get_or_load_many"])
def test_a_loader_that_cancels_itself_cancels_its_own_caller_alone(run, cache, verb):
    """Those who wait for it load for themselves; it is not called again for the one who is cancelled."""

    async def main():
        loader = HeldLoader(asyncio.CancelledError())
        ask = getattr(cache, verb)
        key = "key" if verb == "get_or_load" else ["key"]
        first = asyncio.create_task(ask(key, loader))
        await loader.begun.wait()
        own = HeldLoader("value")
        own.release.set()
        second = asyncio.create_task(ask(key, own))
        await asyncio.sleep(0)
        loader.release.set()
        results = await asyncio.gather(first, second, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert results[1] in ("value", {"key": "value"})
        assert (loader.calls, own.calls) == (1, 1)

    run(main())


def test_a_loader_may_end_the_program(cache):
    """SystemExit leaves the loop, as it does without a cache; nothing is left under way."""

    async def leave():
        raise SystemExit(3)

    async def main():
        await cache.get_or_load("key", leave)

    with pytest.raises(SystemExit):
        asyncio.run(main())
    assert not cache._engine.flights


def test_a_batch_loader_may_be_awaited_or_block(run, cache):
    """Or return something to await; keys that it leaves out are left out."""

    async def awaited(keys):
        await asyncio.sleep(0)
        return {key: key.upper() for key in keys if key != "none"}

    async def main():
        assert await cache.get_or_load_many(["a", "none"], awaited) == {"a": "A"}
        assert await cache.get_or_load_many(["b"], lambda keys: dict.fromkeys(keys, 1)) == {"b": 1}
        assert await cache.get_or_load_many(["c"], lambda keys: awaited(keys=keys)) == {"c": "C"}
        assert await cache.mget(["a", "b", "c", "none"]) == {"a": "A", "b": 1, "c": "C"}

    run(main())


def test_a_coroutine_is_no_value(run, cache):
    """Not within a mapping either: it could be awaited once."""

    async def main():
        with pytest.raises(UnsupportedFunctionError):
            await cache.get_or_load_many(["a"], lambda keys: {key: _awaited() for key in keys})
        with pytest.raises(InvalidArgumentError, match="mapping"):
            await cache.get_or_load_many(["a"], _plain)

    run(main())


def test_not_modified_confirms_what_the_loader_was_shown(run, cache):
    """Of what it was not shown nothing can be confirmed."""

    async def confirm():
        assert current_load().stale == {"key": "old"}
        return NOT_MODIFIED

    async def main():
        await cache.set("key", "old", ttl=0.01, stale_ttl=100)
        await asyncio.sleep(0.03)
        assert await cache.get_or_load("key", confirm, ttl=100) == "old"
        assert await cache.get("key") == "old"
        with pytest.raises(InvalidArgumentError, match="NOT_MODIFIED"):
            await cache.get_or_load("other", lambda: NOT_MODIFIED)

    run(main())
