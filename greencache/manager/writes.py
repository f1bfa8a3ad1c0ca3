"""The verbs that write and forget."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, Unpack

from greencache.keys import Pattern, check_key, check_tag
from greencache.manager.base import Verbs, checked_keys, not_one_text
from greencache.options import EntryOptionArguments
from greencache.typing import Key, Writer

__all__ = ["Writes"]

V = TypeVar("V")


class Writes(Verbs):
    """The verbs that write and forget."""

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
        self._engine.put(
            dict(zip(checked_keys(values), values.values(), strict=True)), self._options(options)
        )

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
        return self._engine.drop(checked_keys(keys))

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
        checked, names = checked_keys(keys), [check_tag(tag) for tag in not_one_text(tags)]
        return self._engine.invalidate(checked, None if pattern is None else Pattern(pattern), names)

    def clear(self) -> None:
        """Forget everything in this cache's namespace, and nothing of any other.

        Raises:
            InvalidationPending: If a tier could not be reached; what is missing is queued for it.
        """
        self._engine.clear()
