"""The verbs that read, awaited."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar, Unpack, overload

from greencache.aio.verbs import AsyncVerbs
from greencache.entry import Entry, present
from greencache.errors import InvalidKeyError
from greencache.keys import check_key
from greencache.manager.base import checked_keys
from greencache.options import EntryOptionArguments, EntryOptions
from greencache.policies import MOST_MARKS
from greencache.typing import Key

__all__ = ["AsyncReads"]

D = TypeVar("D")
V = TypeVar("V")


class AsyncReads(AsyncVerbs):
    """The verbs that read, awaited."""

    async def get(self, key: Key, default: D | None = None) -> Any | D | None:
        """Return a cached value; as `greencache.CacheManager.get`."""
        # Written out here and in `get_or_load`, as in the blocking cache: see there.
        trusted_until = self._bus.trusted_until
        try:
            entry = self._index[key]
            now = self._now()
            if now < entry.due_at and now < trusted_until:
                self._counters.hits += 1
                if entry.marked < MOST_MARKS:
                    entry.marked += 1
                return entry.value
        except KeyError:
            pass
        except TypeError as error:
            raise InvalidKeyError(f"a key must be text, got {type(key).__name__}") from error
        found = await self._find([check_key(key)])
        return found[key].value if key in found else default

    async def mget(self, keys: Iterable[Key]) -> dict[Key, Any]:
        """Return the cached values of keys; as `greencache.CacheManager.mget`."""
        return {key: entry.value for key, entry in (await self._find(checked_keys(keys))).items()}

    async def _find(self, keys: list[Key]) -> dict[Key, Entry]:
        engine = self._engine
        look = engine.look_in_memory(keys)
        found = dict(look.found)
        missing = [key for key in keys if key not in found]
        if missing and engine.stack.shared:
            found |= await self._offload(engine.find_below, missing, look)
        return present(found)

    @overload
    async def get_or_load(
        self, key: Key, loader: Callable[[], Awaitable[V]], **options: Unpack[EntryOptionArguments]
    ) -> V: ...

    @overload
    async def get_or_load(
        self, key: Key, loader: Callable[[], V], **options: Unpack[EntryOptionArguments]
    ) -> V: ...

    async def get_or_load(
        self, key: Key, loader: Callable[[], Any], **options: Unpack[EntryOptionArguments]
    ) -> Any:
        """Return a cached value, or load it; as `greencache.CacheManager.get_or_load`.

        Args:
            key: Up to 1 KiB of text.
            loader: Reads the value from its source: a coroutine function, or one that blocks.
            options: As of `EntryOptions`.
        """
        # As in `get`.
        trusted_until = self._bus.trusted_until
        try:
            entry = self._index[key]
            now = self._now()
            if now < entry.due_at and now < trusted_until:
                self._counters.hits += 1
                if entry.marked < MOST_MARKS:
                    entry.marked += 1
                return entry.value
        except KeyError:
            pass
        except TypeError as error:
            raise InvalidKeyError(f"a key must be text, got {type(key).__name__}") from error
        return await self._load(check_key(key), loader, self._options(options))

    async def _load(self, key: Key, loader: Callable[[], Any], options: EntryOptions) -> Any:
        loaded: list[Any] = []

        async def load(_: list[Key]) -> dict[Key, Any]:
            loaded.append(await self._functions.ask(loader))
            return {key: loaded[-1]}

        # A loader of many may have left out this key, which is remembered; this one is asked all the same.
        entry = (await self._load_many([key], load, options, takes_absent=False)).get(key)
        return loaded[-1] if entry is None else entry.value

    @overload
    async def get_or_load_many(
        self,
        keys: Iterable[Key],
        loader: Callable[[list[Key]], Awaitable[Mapping[Key, V]]],
        **options: Unpack[EntryOptionArguments],
    ) -> dict[Key, V]: ...

    @overload
    async def get_or_load_many(
        self,
        keys: Iterable[Key],
        loader: Callable[[list[Key]], Mapping[Key, V]],
        **options: Unpack[EntryOptionArguments],
    ) -> dict[Key, V]: ...

    async def get_or_load_many(
        self, keys: Iterable[Key], loader: Callable[[list[Key]], Any], **options: Unpack[EntryOptionArguments]
    ) -> dict[Key, Any]:
        """Return the values of keys, loading what is missing by one call of the loader.

        Args:
            keys: What to look for.
            loader: Takes the missing keys, returns their values: a coroutine function, or one that blocks.
            options: As of `EntryOptions`.
        """
        found = await self._load_many(checked_keys(keys), loader, self._options(options))
        return {key: entry.value for key, entry in found.items()}

    async def _load_many(
        self,
        keys: list[Key],
        loader: Callable[[list[Key]], Any],
        options: EntryOptions,
        *,
        takes_absent: bool = True,
    ) -> dict[Key, Entry]:
        engine = self._engine
        found = dict(engine.look_in_memory(keys, takes_absent=takes_absent).found)
        missing = [key for key in keys if key not in found]
        if missing:
            found |= await self._reader.load_many(missing, loader, options, takes_absent=takes_absent)
        due = {key: entry for key, entry in found.items() if engine.reader.leader.is_due(entry, options)}
        if due:
            self._reader.reload_soon(due, loader, options)
        return present(found)

    @overload
    async def refresh(
        self, key: Key, loader: Callable[[], Awaitable[V]], **options: Unpack[EntryOptionArguments]
    ) -> V: ...

    @overload
    async def refresh(
        self, key: Key, loader: Callable[[], V], **options: Unpack[EntryOptionArguments]
    ) -> V: ...

    async def refresh(
        self, key: Key, loader: Callable[[], Any], **options: Unpack[EntryOptionArguments]
    ) -> Any:
        """Drop a key everywhere, load it anew, and return the value; as `greencache.CacheManager.refresh`."""
        chosen = self._options(options)
        await self._done(self._engine.drop, [check_key(key)])
        return await self._load(key, loader, chosen)
