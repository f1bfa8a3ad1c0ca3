"""Writes are finished once they have begun, whoever is cancelled."""

import asyncio
import functools

import pytest

from greencache.aio import CacheManager
from greencache.errors import InvalidArgumentError
from greencache.strategies import WriteThrough
from tests.aio.loaders import HeldLoader, ThreadLoader, soon


class Source:
    """What is written to, by a coroutine function or by one that blocks."""

    def __init__(self):
        self.value = "old"
        self.threads = ThreadLoader()
        self.tasks = HeldLoader()

    async def write(self, value):
        """Write when the test lets it."""
        await self.tasks()
        self.value = value

    def write_on_thread(self, value):
        """Write when the test lets it."""
        self.threads()
        self.value = value

    def write_later(self, value):
        """Return what must be awaited."""
        return self.write(value)

    def writer(self, kind):
        """Return a writer, and what lets it go on."""
        return {
            "awaited": (self.write, self.tasks),
            "plain": (self.write_on_thread, self.threads),
            "lambda": (self.write_later, self.tasks),
        }[kind]


KINDS = ["awaited", "plain", "lambda"]


@pytest.mark.parametrize("kind", KINDS)
def test_after_a_write_the_old_value_is_gone(run, cache, kind):
    """As soon as the source has the new one, and not before."""

    async def main():
        source = Source()
        writer, held = source.writer(kind)
        await cache.set("key", "old")
        task = asyncio.create_task(cache.write("key", "new", writer))
        await soon(held.begun.is_set, "it is being written")
        assert await cache.get("key") == "old"
        held.release.set()
        await task
        assert await cache.get_or_load("key", lambda: source.value) == "new"

    run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_who_is_cancelled_while_writing_leaves_the_cache_in_line(run, cache, kind):
    """The writer is not disturbed."""

    async def main():
        source = Source()
        writer, held = source.writer(kind)
        await cache.set("key", "old")
        task = asyncio.create_task(cache.write("key", "new", writer))
        await soon(held.begun.is_set, "it is being written")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        held.release.set()
        await soon(lambda: source.value == "new", "it is written")
        await soon(lambda: cache.blocking.explain("key").answered_by is None, "the old value is gone")

    run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_a_loop_that_ends_while_writing_leaves_nothing_outdated(run, cache, kind):
    """Whether the source was written or not: the key is dropped."""

    async def main():
        writer, held = source.writer(kind)
        await cache.set("key", "old")
        writing.append(asyncio.create_task(cache.write("key", "new", writer)))
        await soon(held.begun.is_set, "it is being written")

    source, writing = Source(), []
    run(main())
    source.threads.release.set()

    async def look():
        await soon(lambda: cache.blocking.explain("key").answered_by is None, "the old value is gone")

    run(look())


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_writer_raises_is_raised_and_the_cache_untouched(run, cache, kind):
    """The source was not written."""
    error = OSError("read-only")

    async def fail(_):
        raise error

    def fail_on_thread(_):
        raise error

    writers = {"awaited": fail, "plain": fail_on_thread, "lambda": functools.partial(lambda f, v: f(v), fail)}

    async def main():
        await cache.set("key", "old")
        with pytest.raises(OSError) as caught:
            await cache.write("key", "new", writers[kind])
        assert caught.value is error
        assert await cache.get("key") == "old"

    run(main())


def test_options_that_cannot_be_used_are_refused_before_the_source_is_written(run, cache):
    """Else it would be written, and the cache not in line."""
    written = []

    async def main():
        for write in (written.append, functools.partial(Source.write, Source())):
            with pytest.raises(InvalidArgumentError):
                await cache.write("key", "new", write, ttl=-1)
            with pytest.raises(InvalidArgumentError):
                await cache.write("", "new", write)

    run(main())
    assert not written


@pytest.mark.parametrize("kind", KINDS)
def test_writing_through_stores_what_was_written(run, redis_url, kind):
    """Once the source has it."""

    async def main():
        async with CacheManager.from_urls(namespace="aio", l3=redis_url, strategy=WriteThrough()) as cache:
            await cache.initialize(strict=True)
            source = Source()
            writer, held = source.writer(kind)
            held.release.set()
            await cache.write("key", "new", writer)
            assert source.value == "new"
            assert await cache.get("key") == "new"

    run(main())


@pytest.mark.parametrize("verb", ["set", "mset", "delete", "invalidate", "clear"])
def test_who_is_cancelled_leaves_a_verb_to_be_finished(run, shared, verb):
    """From its first step on."""
    arguments = {"set": ("key", "new"), "mset": ({"key": "new"},), "clear": ()}.get(verb, ("key",))
    expected = "new" if verb in ("set", "mset") else None

    async def main():
        await shared.set("key", "old")
        task = asyncio.create_task(getattr(shared, verb)(*arguments))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await soon(lambda: shared.blocking.get("key") == expected, "it is done all the same")

    run(main())
