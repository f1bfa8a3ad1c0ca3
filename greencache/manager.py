"""CacheManager: the verbs that users call."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self, TypeVar, Unpack

from greencache.bus.base import Bus
from greencache.clock import Clock
from greencache.engine import Engine
from greencache.entry import Entry
from greencache.errors import InvalidKeyError
from greencache.events import Recorder
from greencache.health import HealthReport
from greencache.keys import Pattern, check_key, check_tag
from greencache.options import EntryOptionArguments, EntryOptions
from greencache.stats import CacheStats
from greencache.strategies import Strategy
from greencache.tiers.base import Tier
from greencache.typing import BatchLoader, Key, Loader, Seconds, Writer

__all__ = ["CacheManager"]

V = TypeVar("V")
D = TypeVar("D")


class CacheManager:
    """A cache over up to four tiers; without arguments, a cache in this process's memory.

    All methods may be called from any thread or greenlet. What is given as a value may be returned to
    other callers as the same object: treat it as read-only. `None` is a value like any other.

    Args:
        tiers: The tiers from the nearest to the deepest, an L1 among them if one is wanted; `None` for
            an L1 of 5 MB alone. `from_urls` and `from_config` build them.
        namespace: Keeps this cache's keys apart from all others on the same servers.
        strategy: The order of reads and writes; cache-aside if not given.
        bus: Tells other processes what they must forget; needed when they share a tier.
        defaults: Options of entries for which a call gives none.
        max_staleness: Seconds after an acknowledged invalidation in another process past which L1 does
            not serve what it held before; `None` for as long as its ttl.
        patience: Seconds to wait for somebody else's load of a key before loading it oneself.
        recorder: Is told of what happens.
        clock: Where the time comes from.

    Raises:
        ConfigurationError: If the parts do not fit together.
    """

    def __init__(
        self,
        tiers: Sequence[Tier] | None = None,
        *,
        namespace: str = "default",
        strategy: Strategy | None = None,
        bus: Bus | None = None,
        defaults: EntryOptions | None = None,
        max_staleness: Seconds | None = 2.0,
        patience: Seconds = 10.0,
        recorder: Recorder | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._engine = engine = Engine(
            tiers,
            namespace=namespace,
            strategy=strategy,
            bus=bus,
            max_staleness=max_staleness,
            patience=patience,
            recorder=recorder,
            clock=clock,
        )
        self._defaults = defaults or EntryOptions()
        self.namespace = namespace
        # What an L1 hit touches, without a detour through the engine.
        self._peek: Callable[[Key], Entry | None] = engine.peek
        self._hits = engine.memory_counters
        self._now = engine.clock.now
        self._bus = engine.bus

    @classmethod
    def from_urls(
        cls,
        *,
        l1: str | int | None = "5MB",
        l2: str | None = None,
        l3: str | None = None,
        l4: str | None = None,
        namespace: str = "default",
        **options: Any,
    ) -> Self:
        """Return a cache over the servers at these addresses.

        Args:
            l1: Bytes of L1, such as "5MB"; `None` for no L1.
            l2: Address of the host's Redis, such as "redis://localhost:6379/0".
            l3: Address of the Redis that all hosts share.
            l4: Address of PostgreSQL, such as "postgresql://user@host/database".
            namespace: Keeps this cache's keys apart from all others on the same servers.
            options: As of `greencache.build.from_urls`.

        Raises:
            ConfigurationError: If an address or a size cannot be understood.
        """
        from greencache.build import from_urls

        return from_urls(cls, l1=l1, l2=l2, l3=l3, l4=l4, namespace=namespace, **options)

    @classmethod
    def from_config(cls, path: Any, *, profile: str | None = None) -> Self:
        """Return the cache that a YAML file describes, overruled by the environment (`GREENCACHE__…`).

        Args:
            path: The file, or a `CacheConfig`.
            profile: Which of its profiles; by default what `GREENCACHE_PROFILE` names.

        Raises:
            ConfigurationError: If the file cannot be read or understood.
        """
        from greencache.build import from_config

        return from_config(cls, path, profile=profile)

    # -- reading ---------------------------------------------------------------------------------------

    def get(self, key: Key, default: D | None = None) -> Any | D | None:
        """Return a cached value.

        Args:
            key: Up to 1 KiB of text.
            default: What to return on a miss; give `MISSING` to tell a miss from a cached `None`.

        Raises:
            InvalidKeyError: If the key cannot be one.
        """
        try:
            entry = self._peek(key)
        except TypeError as error:
            raise InvalidKeyError(f"a key must be text, got {type(key).__name__}") from error
        if entry is not None:
            now = self._now()
            if now < entry.due_at and now < self._bus.trusted_until:
                self._hits.hits += 1
                entry.marked = True
                return entry.value
        found = self._engine.find([check_key(key)])
        return found[key].value if key in found else default

    def get_or_load(
        self,
        key: Key,
        loader: Loader[V],
        **options: Unpack[EntryOptionArguments],
    ) -> V:
        """Return a cached value, or load it; one caller loads, and all others wait for what it finds.

        A value whose load began before an invalidation of its key or tags is returned but not stored.

        Args:
            key: Up to 1 KiB of text.
            loader: Reads the value from its source; takes nothing.
            options: `ttl`, `tags`, `tier`, `stale_ttl`, `refresh_ahead`, `jitter`, as of `EntryOptions`.

        Raises:
            InvalidArgumentError: If the key or an option cannot be used.
            Exception: What the loader raises, unchanged, if there is no stale value to serve instead.
        """
        try:
            entry = self._peek(key)
        except TypeError as error:
            raise InvalidKeyError(f"a key must be text, got {type(key).__name__}") from error
        if entry is not None:
            now = self._now()
            if now < entry.due_at and now < self._bus.trusted_until:
                self._hits.hits += 1
                entry.marked = True
                return entry.value  # type: ignore[no-any-return]
        entry = self._engine.load(check_key(key), loader, self._options(options))
        return entry.value  # type: ignore[no-any-return]

    def mget(self, keys: Iterable[Key]) -> dict[Key, Any]:
        """Return the cached values of keys; keys that are not cached are left out.

        Raises:
            InvalidKeyError: If one cannot be a key.
        """
        return {key: entry.value for key, entry in self._engine.find(_checked(keys)).items()}

    def get_or_load_many(
        self,
        keys: Iterable[Key],
        loader: BatchLoader[V],
        **options: Unpack[EntryOptionArguments],
    ) -> dict[Key, V]:
        """Return the values of keys, loading what is missing by one call of the loader.

        Args:
            keys: What to look for.
            loader: Takes the missing keys, returns their values; keys that do not exist are left out.
            options: As of `get_or_load`.

        Returns:
            The values by key, without the keys that the loader left out.

        Raises:
            InvalidArgumentError: If a key or an option cannot be used.
            Exception: What the loader raises, unchanged, if there are no stale values to serve instead.
        """
        found = self._engine.load_many(_checked(keys), loader, self._options(options))
        return {key: entry.value for key, entry in found.items()}

    def refresh(
        self,
        key: Key,
        loader: Loader[V],
        **options: Unpack[EntryOptionArguments],
    ) -> V:
        """Drop a key everywhere, load it anew, and return the value.

        Args:
            key, loader, options: As of `get_or_load`.

        Raises:
            InvalidationPending: If a tier could not be reached; nothing is loaded then.
            Exception: What the loader raises, unchanged.
        """
        chosen = self._options(options)
        self._engine.drop([check_key(key)])
        return self._engine.load(key, loader, chosen).value  # type: ignore[no-any-return]

    # -- writing ---------------------------------------------------------------------------------------

    def set(
        self,
        key: Key,
        value: Any,
        **options: Unpack[EntryOptionArguments],
    ) -> None:
        """Store a value in all tiers down to `tier`.

        Args:
            key: Up to 1 KiB of text.
            value: Any object that the codec can write; in L1 alone, any object.
            options: As of `get_or_load`.

        Raises:
            InvalidArgumentError: If the key or an option cannot be used.
            EncodeError: If the value cannot be encoded.
            InvalidationPending: If a tier could not be reached; what it holds of the key is dropped
                before it is read again.
        """
        self._engine.put({check_key(key): value}, self._options(options))

    def mset(
        self,
        values: Mapping[Key, Any],
        **options: Unpack[EntryOptionArguments],
    ) -> None:
        """Store many values at once.

        Args:
            values: The values by key.
            options: As of `get_or_load`.

        Raises:
            InvalidArgumentError, EncodeError, InvalidationPending: As of `set`.
        """
        self._engine.put(dict(zip(_checked(values), values.values(), strict=True)), self._options(options))

    def write(
        self,
        key: Key,
        value: V,
        writer: Writer,
        **options: Unpack[EntryOptionArguments],
    ) -> None:
        """Write a value to its source, then bring the cache in line as the strategy says.

        Args:
            key: Up to 1 KiB of text.
            value: What to write.
            writer: Takes the value and writes it to the source.
            options: As of `get_or_load`.

        Raises:
            InvalidationPending: If the source was written but a tier could not be reached.
            Exception: What the writer raises, unchanged; the cache is untouched then.
        """
        self._engine.write(check_key(key), value, writer, self._options(options))

    def delete(self, key: Key) -> bool:
        """Remove a key from all tiers and return whether any had it.

        Raises:
            InvalidKeyError: If it cannot be a key.
            InvalidationPending: If a tier could not be reached; the drop is queued for it.
        """
        return self._engine.drop([check_key(key)]) > 0

    def mdelete(self, keys: Iterable[Key]) -> int:
        """Remove keys from all tiers and return how many entries there were.

        Raises:
            InvalidKeyError, InvalidationPending: As of `delete`.
        """
        return self._engine.drop(_checked(keys))

    def invalidate(self, *keys: Key, pattern: str | None = None, tags: Iterable[str] = ()) -> int:
        """Forget keys, everything that matches a pattern, and everything under tags.

        When this returns, no call in this process returns what was cached before; other processes
        follow within milliseconds, and at the latest after `max_staleness`.

        Args:
            keys: Keys to forget.
            pattern: Keys to forget by their text: `*` is any run of characters, `?` any one. Scans every
                tier: meant for tools, not for every request.
            tags: Tags whose entries to forget, in constant time.

        Returns:
            How many entries were removed by key and by pattern; those under tags are not counted.

        Raises:
            InvalidKeyError: If a key, the pattern or a tag cannot be one.
            InvalidationPending: If a tier could not be reached; what is missing is queued for it.
        """
        checked, names = _checked(keys), [check_tag(tag) for tag in _no_text(tags)]
        return self._engine.invalidate(checked, None if pattern is None else Pattern(pattern), names)

    def clear(self) -> None:
        """Forget everything in this cache's namespace, and nothing of any other.

        Raises:
            InvalidationPending: If a tier could not be reached; what is missing is queued for it.
        """
        self._engine.clear()

    # -- the rest --------------------------------------------------------------------------------------

    def initialize(self, *, strict: bool = False) -> Self:
        """Connect to all servers, install what they need, and listen to the bus; then return the cache.

        Need not be called: the first call that goes beyond L1 does the same.

        Args:
            strict: Whether to raise when a server is out of reach, instead of recording it and going on.

        Raises:
            TierUnavailableError: If `strict` and a server is out of reach.
        """
        self._engine.initialize(strict=strict)
        return self

    def get_stats(self) -> CacheStats:
        """Return the counts of this process so far; subtract two to see what happened between."""
        return self._engine.stats()

    def health_check(self) -> HealthReport:
        """Ask every tier how it is doing. Raises nothing: an outage is a finding."""
        return self._engine.health()

    def close(self) -> None:
        """Finish background reloads, stop listening, and give back connections; may be called twice."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _options(self, options: EntryOptionArguments) -> EntryOptions:
        chosen = EntryOptions(**options)
        for tag in chosen.tags:
            check_tag(tag)
        if chosen.tier is not None:
            self._engine.stack.check_tier(chosen.tier)
        return chosen.over(self._defaults)


def _checked(keys: Iterable[Key]) -> list[Key]:
    return list(dict.fromkeys(map(check_key, _no_text(keys))))


def _no_text(names: Iterable[str]) -> Iterable[str]:
    if isinstance(names, str):
        raise InvalidKeyError(f"expected several names, got the one text {names!r}; put it into a list")
    return names
