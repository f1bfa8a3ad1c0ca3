"""The verbs that write and forget, awaited."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Unpack, overload

from greencache.aio.verbs import AsyncVerbs
from greencache.keys import check_key
from greencache.options import EntryOptionArguments
from greencache.typing import CacheTier, Key

__all__ = ["AsyncWrites"]


class AsyncWrites(AsyncVerbs):
    """The verbs that write and forget, awaited; one that has begun is finished, whoever is cancelled."""

    async def set(
        self, key: Key, value: Any, *, durable: bool = False, **options: Unpack[EntryOptionArguments]
    ) -> None:
        """Store a value in all tiers down to `tier`."""
        await self._offload(self.blocking.set, key, value, durable=durable, **options)

    async def mset(
        self,
        values: Mapping[Key, Any],
        *,
        durable: bool = False,
        **options: Unpack[EntryOptionArguments],
    ) -> None:
        """Store many values at once."""
        await self._offload(self.blocking.mset, values, durable=durable, **options)

    async def write(
        self,
        key: Key,
        value: Any,
        writer: Callable[[Any], object],
        **options: Unpack[EntryOptionArguments],
    ) -> None:
        """Write a value to its source, a coroutine function or one that blocks; then bring the cache in line.

        Who is cancelled after the writer has begun still leaves the cache in line.
        """
        check_key(key)
        await self._reader.finished(self._write(key, value, writer, options))

    async def _write(
        self, key: Key, value: Any, writer: Callable[[Any], object], options: EntryOptionArguments
    ) -> None:
        await self._driver.ask(writer, value)
        await self._offload(self.blocking.write, key, value, _is_written, **options)

    async def delete(self, key: Key, *, durable: bool = False) -> bool:
        """Remove a key from all tiers and return whether any had it."""
        return await self._offload(self.blocking.delete, key, durable=durable)

    async def mdelete(self, keys: Iterable[Key], *, durable: bool = False) -> int:
        """Remove keys from all tiers and return how many entries there were."""
        return await self._offload(self.blocking.mdelete, keys, durable=durable)

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
        return await self._offload(self.blocking.invalidate, *keys, **options)

    async def clear(self, *, durable: bool = False) -> None:
        """Forget everything in this cache's namespace, and nothing of any other."""
        await self._offload(self.blocking.clear, durable=durable)


def _is_written(_: Any) -> None:
    """Stand for a writer that has been awaited already."""
