"""The verbs that write and forget."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeVar, Unpack, overload

from greencache.keys import Pattern, check_key, check_tag
from greencache.manager.base import Verbs, checked_keys, not_one_text
from greencache.options import EntryOptionArguments
from greencache.typing import CacheTier, Key, Writer

__all__ = ["Writes"]

V = TypeVar("V")


class Writes(Verbs):
    """The verbs that write and forget."""

    def set(
        self,
        key: Key,
        value: Any,
        *,
        durable: bool = False,
        **options: Unpack[EntryOptionArguments],
    ) -> None:
        """Store a value in all tiers down to `tier`.

        Args:
            key: Up to 1 KiB of text.
            value: Any object that the codec can write; in L1 alone, any object.
            durable: As of `invalidate`: whether a failover must not bring back what was there before.
            options: As of `get_or_load`.

        Raises:
            InvalidArgumentError: If the key or an option cannot be used.
            EncodeError: If the value cannot be encoded.
            InvalidationPending: If a tier could not be reached; what it holds of the key is dropped
                before it is read again.
            NotReplicatedError: As of `invalidate`, if `durable`.
        """
        self._engine.put({check_key(key): value}, self._options(options), durable=durable)

    def mset(
        self,
        values: Mapping[Key, Any],
        *,
        durable: bool = False,
        **options: Unpack[EntryOptionArguments],
    ) -> None:
        """Store many values at once.

        Args:
            values: The values by key.
            durable: As of `set`.
            options: As of `get_or_load`.

        Raises:
            InvalidArgumentError, EncodeError, InvalidationPending, NotReplicatedError: As of `set`.
        """
        checked = dict(zip(checked_keys(values), values.values(), strict=True))
        self._engine.put(checked, self._options(options), durable=durable)

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
        check_key(key)
        self._engine.write(key, value, writer, self._engine.maker(self._options(options)))

    def delete(self, key: Key, *, durable: bool = False) -> bool:
        """Remove a key from all tiers and return whether any had it.

        Args:
            key: Up to 1 KiB of text.
            durable: As of `invalidate`.

        Returns:
            True for a key that was remembered as missing, too: the servers remove it unread.

        Raises:
            InvalidKeyError: If it cannot be a key.
            InvalidationPending: If a tier could not be reached; the drop is queued for it.
            NotReplicatedError: As of `invalidate`, if `durable`.
        """
        return self._engine.drop([check_key(key)], durable=durable) > 0

    def mdelete(self, keys: Iterable[Key], *, durable: bool = False) -> int:
        """Remove keys from all tiers and return how many entries there were.

        Args:
            keys: The keys.
            durable: As of `invalidate`.

        Returns:
            The count of the tier that had most of them; what was remembered as missing counts.

        Raises:
            InvalidKeyError, InvalidationPending, NotReplicatedError: As of `delete`.
        """
        return self._engine.drop(checked_keys(keys), durable=durable)

    @overload
    def invalidate(
        self,
        *keys: Key,
        pattern: str | None = ...,
        tags: Iterable[str] = ...,
        durable: bool = ...,
        dry_run: Literal[False] = ...,
    ) -> int: ...

    @overload
    def invalidate(
        self,
        *keys: Key,
        pattern: str | None = ...,
        tags: Iterable[str] = ...,
        durable: bool = ...,
        dry_run: Literal[True],
    ) -> dict[CacheTier, int]: ...

    def invalidate(
        self,
        *keys: Key,
        pattern: str | None = None,
        tags: Iterable[str] = (),
        durable: bool = False,
        dry_run: bool = False,
    ) -> int | dict[CacheTier, int]:
        """Forget keys, everything that matches a pattern, and everything under tags.

        When this returns, no call in this process returns what was cached before; other processes
        follow within milliseconds, and at the latest after `max_staleness`.

        Args:
            keys: Keys to forget.
            pattern: Keys to forget by their text: `*` is any run of characters, `?` any one. Scans every
                tier: meant for tools, not for every request.
            tags: Tags whose entries to forget, in constant time.
            durable: Whether to wait until a replica of the authority's Redis has this too, at most a second.
                Else a failover at once afterwards may undo it, until this process notices and repeats it.
                PostgreSQL is durable anyway.
            dry_run: Whether to remove and announce nothing, but to count what would go. Reads the entries
                that match, and if there are tags every entry of every tier.

        Returns:
            How many entries were removed by key and by pattern, in the tier that had most of them. Those
            under tags are not counted; what was remembered as missing is, since servers remove it unread.
            Of a dry run, how many entries would go from each tier, those under tags too and each once, and
            nothing that is remembered as missing. A tier that does not answer is left out, and of a view
            those rows count that a drop would hide.

        Raises:
            InvalidKeyError: If a key, the pattern or a tag cannot be one.
            InvalidationPending: If a tier could not be reached; what is missing is queued for it.
            NotReplicatedError: If `durable`, and no replica has acknowledged it; it is done all the same.
        """
        checked, names = checked_keys(keys), [check_tag(tag) for tag in not_one_text(tags)]
        matching = None if pattern is None else Pattern(pattern)
        if dry_run:
            from greencache.inspection import count_invalidated

            return count_invalidated(self._engine.stack, self._engine.stamps, checked, matching, names)
        return self._engine.invalidate(checked, matching, names, durable=durable)

    def clear(self, *, durable: bool = False) -> None:
        """Forget everything in this cache's namespace, and nothing of any other.

        Args:
            durable: As of `invalidate`.

        Raises:
            InvalidationPending: If a tier could not be reached; what is missing is queued for it.
            NotReplicatedError: As of `invalidate`, if `durable`.
        """
        self._engine.clear(durable=durable)
