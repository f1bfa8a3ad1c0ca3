"""The verbs that read."""

from collections.abc import Iterable
from typing import Any, TypeVar, Unpack

from greencache.entry import Entry
from greencache.errors import InvalidKeyError
from greencache.keys import check_key
from greencache.manager.base import Verbs, checked_keys
from greencache.options import EntryOptionArguments
from greencache.policies import MOST_MARKS
from greencache.typing import BatchLoader, Key, Loader

__all__ = ["Reads"]

D = TypeVar("D")
V = TypeVar("V")


class Reads(Verbs):
    """The verbs that read."""

    def get(self, key: Key, default: D | None = None) -> Any | D | None:
        """Return a cached value.

        Args:
            key: Up to 1 KiB of text.
            default: What to return on a miss; give `MISSING` to tell a miss from a cached `None`.

        Raises:
            InvalidKeyError: If the key cannot be one.
        """
        # Before the look: while it is under way a gap may be mended, and what it found be outdated.
        trusted_until = self._bus.trusted_until
        # Written out here and in `get_or_load`, `_hit` and `decorators.shapes`: a call would cost a hit a
        # third of its time, and `index.get` a tenth.
        #
        # What the lines rely on, since they take no lock: with the interpreter lock, under gevent, which
        # switches at none of them, and in free-threaded builds, where an attribute is read and written whole:
        # - The look is one step of a dict that locks itself, and is never replaced. What it finds is this
        #   reader's from then on, whatever is evicted; a drop that comes later comes after this read.
        # - `due_at` and `value` were written before the entry came into the dict, and never change. A store
        #   puts another entry in its place, so they belong together.
        # - `trusted_until` is one number, read before the look: trust that is taken away meanwhile is missed
        #   by this read, and by none that begins later.
        # - `hits` may lose counts in free-threaded builds alone, see `stats`; and a mark that is lost, or set
        #   on what has just gone, makes an entry go a round earlier or later, see `policies.Marked`.
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
            options: `ttl`, `tags`, `tier`, `stale_ttl` and others, as of `EntryOptions`.

        Raises:
            InvalidArgumentError: If the key or an option cannot be used.
            LoadTimeoutError: If there was nothing to return after `hard_timeout`, or no place to load in.
            Exception: What the loader raises, unchanged, if there is no stale value to serve instead.
        """
        trusted_until = self._bus.trusted_until  # before the look, see `get`
        try:
            entry = self._index[key]
            now = self._now()
            if now < entry.due_at and now < trusted_until:
                self._counters.hits += 1
                if entry.marked < MOST_MARKS:
                    entry.marked += 1
                return entry.value  # type: ignore[no-any-return]
        except KeyError:
            pass
        except TypeError as error:
            raise InvalidKeyError(f"a key must be text, got {type(key).__name__}") from error
        return self._engine.load(check_key(key), loader, self._options(options))

    # For decorators: what a hit is worth, without the loader and the options that only a miss needs.
    get_or_load.hits_by = "_hit"  # type: ignore[attr-defined]
    get_or_load.hits_with = "_at_hand"  # type: ignore[attr-defined]

    def _hit(self, key: Key) -> Entry | None:
        """Return the entry of a key if L1 can answer at once; see `get` for why it is written out there."""
        trusted_until = self._bus.trusted_until
        entry = self._index.get(key)
        if entry is not None:
            now = self._now()
            if now < entry.due_at and now < trusted_until:
                self._counters.hits += 1
                if entry.marked < MOST_MARKS:
                    entry.marked += 1
                return entry
        return None

    def _at_hand(self) -> dict[str, Any]:
        """Return what a hit touches, for a function that is one hit itself."""
        return {"index": self._index, "bus": self._bus, "now": self._now, "counters": self._counters}

    def mget(self, keys: Iterable[Key]) -> dict[Key, Any]:
        """Return the cached values of keys; keys that are not cached are left out.

        Raises:
            InvalidKeyError: If one cannot be a key.
        """
        return {key: entry.value for key, entry in self._engine.find(checked_keys(keys)).items()}

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
        found = self._engine.load_many(checked_keys(keys), loader, self._options(options))
        return {key: entry.value for key, entry in found.items()}

    def refresh(
        self,
        key: Key,
        loader: Loader[V],
        **options: Unpack[EntryOptionArguments],
    ) -> V:
        """Drop a key everywhere, load it anew, and return the value.

        Args:
            key: As of `get_or_load`.
            loader: As of `get_or_load`.
            options: As of `get_or_load`.

        Raises:
            InvalidationPending: If a tier could not be reached; nothing is loaded then.
            Exception: What the loader raises, unchanged.
        """
        chosen = self._options(options)
        self._engine.drop([check_key(key)])
        return self._engine.load(key, loader, chosen)
