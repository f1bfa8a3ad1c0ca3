"""The verbs that write and forget, awaited."""

import asyncio
import contextlib
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Unpack, overload

from greencache.aio.functions import is_awaited
from greencache.aio.verbs import AsyncVerbs
from greencache.entry import Entry
from greencache.keys import check_key
from greencache.options import EntryOptionArguments, EntryOptions
from greencache.typing import CacheTier, Key

__all__ = ["AsyncWrites"]


class AsyncWrites(AsyncVerbs):
    """The verbs that write and forget, awaited; one that has begun is finished, whoever is cancelled."""

    async def set(
        self, key: Key, value: Any, *, durable: bool = False, **options: Unpack[EntryOptionArguments]
    ) -> None:
        """Store a value in all tiers down to `tier`."""
        await self._done(self.blocking.set, key, value, durable=durable, **options)

    async def mset(
        self,
        values: Mapping[Key, Any],
        *,
        durable: bool = False,
        **options: Unpack[EntryOptionArguments],
    ) -> None:
        """Store many values at once."""
        await self._done(self.blocking.mset, values, durable=durable, **options)

    async def write(
        self,
        key: Key,
        value: Any,
        writer: Callable[[Any], object],
        **options: Unpack[EntryOptionArguments],
    ) -> None:
        """Write a value to its source, then bring the cache in line; as `greencache.CacheManager.write`.

        Who is cancelled after the writer has begun still leaves the cache in line.

        Args:
            key: Up to 1 KiB of text.
            value: What to write.
            writer: Takes the value and writes it to the source: a coroutine function, or one that blocks.
            options: As of `EntryOptions`.
        """
        chosen = self._options(options)
        await self._reader.finished(self._write(check_key(key), value, writer, chosen))

    async def _write(
        self, key: Key, value: Any, writer: Callable[[Any], object], options: EntryOptions
    ) -> None:
        make_entry = await self._done(self._engine.maker, options)
        if is_awaited(writer):
            writing = writer(value)
        else:
            writing = await self._functions.offload(self._write_on_thread, key, value, writer, make_entry)
        if not inspect.isawaitable(writing):
            return
        try:
            await writing
        except asyncio.CancelledError:
            # Nobody knows how far the writer has come.
            self._offload.soon(functools.partial(self._engine.drop, [key]))
            raise
        await self._done(self._engine.write, key, value, _is_written, make_entry)

    def _write_on_thread(
        self,
        key: Key,
        value: Any,
        writer: Callable[[Any], object],
        make_entry: Callable[[Any], Entry],
    ) -> object:
        """Write, and bring the cache in line at once, whatever becomes of the task.

        Returns:
            What the writer returned, if the source is not written before that was awaited.
        """
        writing: object = None

        def write(value: Any) -> None:
            nonlocal writing
            result = writer(value)
            if inspect.isawaitable(result):
                writing = result
                raise _NotYetWrittenError

        with contextlib.suppress(_NotYetWrittenError):
            self._engine.write(key, value, write, make_entry)
        return writing

    async def delete(self, key: Key, *, durable: bool = False) -> bool:
        """Remove a key from all tiers and return whether any had it."""
        return await self._done(self.blocking.delete, key, durable=durable)

    async def mdelete(self, keys: Iterable[Key], *, durable: bool = False) -> int:
        """Remove keys from all tiers and return how many entries there were."""
        return await self._done(self.blocking.mdelete, keys, durable=durable)

    @overload
    async def invalidate(
        self,
        *keys: Key,
        pattern: str | None = ...,
        tags: Iterable[str] = ...,
        durable: bool = ...,
        dry_run: Literal[False] = ...,
    ) -> int: ...

    @overload
    async def invalidate(
        self,
        *keys: Key,
        pattern: str | None = ...,
        tags: Iterable[str] = ...,
        durable: bool = ...,
        dry_run: Literal[True],
    ) -> dict[CacheTier, int]: ...

    async def invalidate(self, *keys: Key, **options: Any) -> int | dict[CacheTier, int]:
        """Forget keys, everything that matches a pattern, and everything under tags.

        As `greencache.CacheManager.invalidate`, with the same arguments.
        """
        return await self._done(self.blocking.invalidate, *keys, **options)

    async def clear(self, *, durable: bool = False) -> None:
        """Forget everything in this cache's namespace, and nothing of any other."""
        await self._done(self.blocking.clear, durable=durable)


class _NotYetWrittenError(Exception):
    """A writer has returned something that must be awaited first."""


def _is_written(_: Any) -> None:
    """Stand for a writer that has been awaited already."""
