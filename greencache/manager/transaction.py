"""What a transaction of the database changes in the cache: once it is committed, and not if it is not."""

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Unpack

from greencache.backends.postgres_announcements import Announced
from greencache.backends.postgres_changes import noting_own
from greencache.backends.postgres_position import Position
from greencache.database.source import PostgresSource
from greencache.engine import Engine
from greencache.entry import Entry
from greencache.errors import InvalidKeyError, TierUnavailableError
from greencache.events import Event, EventKind
from greencache.keys import Pattern, check_key, check_tag
from greencache.loading import note_position, seeing_uncommitted
from greencache.manager.base import Verbs, checked_keys, not_one_text
from greencache.options import EntryOptionArguments, EntryOptions
from greencache.outbox.base import Change
from greencache.typing import Key, Loader, Seconds

__all__ = ["Transaction"]

_MOST_NAMES = 1_000
"""Names in one row of the outbox."""


class Transaction(Verbs):
    """Writes and invalidations that belong to a transaction of the database.

    Each is written into the outbox within that transaction. So it shares its fate, or that of its savepoint,
    and whoever listens to the database does it if this process dies after the commit.

    Args:
        engine: The cache.
        defaults: As of the cache.
        source: The database of the cache.
        connection: Whose transaction; psycopg 3, psycopg2, or Django's.
        began: When it began, by the server's clock, in seconds since the epoch; `None` if nothing was read in
            it before now.

    Raises:
        ConfigurationError: If it leads to another cluster of databases than L4.
        TierUnavailableError: If greencache's tables are not there.
    """

    def __init__(
        self,
        engine: Engine,
        defaults: EntryOptions,
        source: PostgresSource,
        connection: Any,
        began: Seconds | None = None,
    ) -> None:
        super().__init__(engine, defaults)
        self._announcements = source.announcements
        self._announcements.install()
        position = source.position_of(connection)
        # What is set was read after this, or since the transaction began, or at its only snapshot.
        since = None if position.is_fixed else began
        self._position = dataclasses.replace(position, has_written=False, since=since)
        self._connection = connection
        self._xact: str | None = None
        self._sets: dict[int, tuple[dict[Key, Entry], EntryOptions]] = {}
        self._numbers: set[int] = set()
        self._touched = Change()

    # -- changes ---------------------------------------------------------------------------------------

    def set(self, key: Key, value: Any, **options: Unpack[EntryOptionArguments]) -> None:
        """Forget what is cached of a key, and store this value, when the transaction is committed.

        The value is left out if the key, or one of its tags, is invalidated by anything else meanwhile, or is
        being loaded: the next read then loads it.

        Args:
            key: Up to 1 KiB of text.
            value: As of `CacheManager.set`; kept in this process until then, isolated as there.
            options: As of `get_or_load`.

        Raises:
            InvalidArgumentError: If the key or an option cannot be used.
            IsolationError, UnsupportedFunctionError: If the value cannot be kept.
            Exception: What the driver raises.
        """
        self.mset({key: value}, **options)

    def mset(self, values: Mapping[Key, Any], **options: Unpack[EntryOptionArguments]) -> None:
        """Do the same as `set` for many values."""
        chosen, keys = self._options(options), checked_keys(values)
        # Now, while the caller can still roll back, and before it changes them again; stamps come later.
        kept = {key: self._engine.entries.make(values[key], chosen, ()) for key in keys}
        for start in range(0, len(keys), _MOST_NAMES):
            part = keys[start : start + _MOST_NAMES]
            number = self._announce(Change(keys=tuple(part)))
            self._sets[number] = {key: kept[key] for key in part}, chosen

    def delete(self, key: Key) -> None:
        """Remove a key from all tiers when the transaction is committed."""
        self.invalidate(key)

    def invalidate(self, *keys: Key, pattern: str | None = None, tags: Iterable[str] = ()) -> None:
        """Forget keys, what matches a pattern, and what is under tags, when the transaction is committed.

        Args:
            keys: Keys to forget.
            pattern: Keys to forget by their text, as of `CacheManager.invalidate`.
            tags: Tags whose entries to forget.

        Raises:
            InvalidKeyError: If a key, the pattern or a tag cannot be one.
            Exception: What the driver raises.
        """
        named = checked_keys(keys)
        patterns = () if pattern is None else (Pattern(pattern).text,)
        marked = tuple(check_tag(tag) for tag in not_one_text(tags))
        if patterns or marked:
            self._announce(Change(patterns=patterns, tags=marked))
        for start in range(0, len(named), _MOST_NAMES):
            self._announce(Change(keys=tuple(named[start : start + _MOST_NAMES])))

    def clear(self) -> None:
        """Forget the whole namespace when the transaction is committed."""
        self._announce(Change(is_everything=True))

    def _announce(self, change: Change) -> int:
        if any("\0" in name for name in (*change.keys, *change.tags, *change.patterns)):
            raise InvalidKeyError("expected names without NUL, which no text of PostgreSQL can hold")
        number, self._xact = self._announcements.write(
            self._connection,
            keys=change.keys,
            tags=change.tags,
            patterns=change.patterns,
            is_everything=change.is_everything,
        )
        self._numbers.add(number)
        known = self._touched
        self._touched = Change(
            keys=known.keys + change.keys,
            tags=known.tags + change.tags,
            patterns=known.patterns + change.patterns,
            is_everything=known.is_everything or change.is_everything,
        )
        return number

    # -- reads -----------------------------------------------------------------------------------------

    def get(self, key: Key, default: Any = None) -> Any:
        """Return a cached value; the default for a key that this transaction has changed, set or not."""
        if self._is_touched(check_key(key)):
            return default
        entry = self._engine.find([key]).get(key)
        return default if entry is None or self._is_marked(entry) else entry.value

    def get_or_load(self, key: Key, loader: Loader[Any], **options: Unpack[EntryOptionArguments]) -> Any:
        """Return a cached value, or load it; what is loaded here may be rolled back, and is not stored."""
        chosen = self._options(options)
        if self._is_touched(check_key(key)) or not set(self._touched.tags).isdisjoint(chosen.tags):
            return loader()
        entry = self._engine.find([key]).get(key)
        if entry is not None and self._is_marked(entry):
            return loader()
        with seeing_uncommitted():
            return self._engine.load(key, loader, chosen)

    def _is_touched(self, key: Key) -> bool:
        touched = self._touched
        return (
            touched.is_everything
            or key in touched.keys
            or any(Pattern(text).matches(key) for text in touched.patterns)
        )

    def _is_marked(self, entry: Entry) -> bool:
        return not set(self._touched.tags).isdisjoint(entry.tags)

    # -- the end ---------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Learn, before the commit, by what it will be known; triggers may have announced something too."""
        self._xact = self._xact or self._announcements.transaction_of(self._connection)

    def committed(self) -> bool:
        """Do at once what the transaction has announced; call it after the commit.

        What was rolled back, with the transaction or a savepoint, is not done: it is not there any more.

        Returns:
            Whether every tier was reached. If not, whoever listens to the database does the rest.
        """
        if self._xact is None:
            return True
        with contextlib.suppress(TierUnavailableError):
            rows = self._read(self._xact)
            if not rows:
                return True
            self._engine.start()
            if self._apply(rows):
                self._announcements.forget(self._xact, [row.number for row in rows])
                return True
        return False

    def _read(self, xact: str) -> list[Announced]:
        """Return what is still to be done; what is not, or who knows, is forgotten here at least."""
        found: set[int] = set()
        try:
            rows = self._announcements.read(xact)
            found.update(row.number for row in rows)
        finally:
            # Rolled back, which does no harm; or done by a listener that was quicker, of which this process
            # may not have heard yet, although its caller reads next.
            if not self._numbers <= found:
                self._engine.receiver.forget(self._touched)
        return rows

    def _apply(self, rows: list[Announced]) -> bool:
        change = Change(
            keys=tuple(dict.fromkeys(key for row in rows for key in row.keys)),
            tags=tuple(dict.fromkeys(tag for row in rows for tag in row.tags)),
            patterns=tuple(dict.fromkeys(text for row in rows for text in row.patterns)),
            is_everything=any(row.is_everything for row in rows),
        )
        with noting_own() as own:
            is_done = self._engine.changes.apply(change)
        position = dataclasses.replace(self._position, own=tuple(own))
        for kept, options in self._surviving(rows):
            is_done = self._store(kept, options, position) and is_done
        return is_done

    def _store(self, kept: Mapping[Key, Entry], options: EntryOptions, position: Position) -> bool:
        """Store values as a load would: unless something else drops, writes or loads them meanwhile.

        Returns:
            Whether no tier may have a part of what could not be stored.
        """

        def load(keys: list[Key]) -> dict[Key, Any]:
            note_position(position)
            return {key: kept[key].kept for key in keys}

        reader = self._engine.reader
        try:
            reader.driver.run(reader.leader.reload(kept, options), load)
        except Exception as error:
            # Not raised: the transaction is committed, and who takes this for its failure does it twice.
            detail = {"error": type(error).__name__}
            self._engine.recorder.record(Event(EventKind.LOAD_FAILED, None, next(iter(kept)), detail))
            return self._engine.changes.apply(Change(keys=tuple(kept)))
        return True

    def _surviving(self, rows: list[Announced]) -> Iterator[tuple[dict[Key, Entry], EntryOptions]]:
        """Yield the values that were set and not changed again later in the transaction."""
        for place, row in enumerate(rows):
            if row.number in self._sets:
                kept, options = self._sets[row.number]
                later = rows[place + 1 :]
                left = {key: each for key, each in kept.items() if not _is_named(key, options.tags, later)}
                if left:
                    yield left, options


def _is_named(key: Key, tags: Iterable[str], rows: list[Announced]) -> bool:
    return any(
        row.is_everything
        or key in row.keys
        or not set(row.tags).isdisjoint(tags)
        or any(Pattern(text).matches(key) for text in row.patterns)
        for row in rows
    )
