"""Time-outs, stale values, reloads before the end, and what is invalidated while it is loaded."""

import asyncio

import pytest

from greencache import current_load
from greencache.errors import LoadTimeoutError
from tests.aio.loaders import HeldLoader, soon


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
