"""What was dropped lately, recorded in the database, and what a load's snapshots do not see of it."""

import contextlib
import contextvars
import dataclasses
import threading
import time
from collections.abc import Collection, Iterable, Iterator

from greencache.backends.postgres import PostgresManager
from greencache.backends.postgres_position import Position
from greencache.forks import after_fork_in_child
from greencache.keys import restore_text, storage_text
from greencache.options import check_duration
from greencache.typing import Seconds

__all__ = ["Changes", "Unseen", "noting_own"]

_own: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar("greencache_own", default=None)
_MOST_NAMES = 1_000
"""Keys or tags in one row."""
_TRIM_EVERY: Seconds = 30.0
_TRIM_AFTER = 1_000
_TRIMMED_AT_ONCE = 3_000
"""More than are recorded between two times, so that it catches up."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """What was dropped and some positions do not see.

    Args:
        keys, tags: Of those that were asked about.
        patterns: All, as text.
        is_unknown: Whether some position is so old that it cannot be told any more.
    """

    keys: frozenset[str]
    tags: frozenset[str]
    patterns: tuple[str, ...]
    is_unknown: bool


class Changes:
    """The record of what was dropped lately in one namespace.

    Args:
        manager: Talks to the server.
        namespace: Whose drops.
        window: Seconds that they are remembered; of an older snapshot nothing is known.
    """

    def __init__(self, manager: PostgresManager, namespace: str, *, window: Seconds = 300.0) -> None:
        self.window = check_duration("window", window)
        self._manager = manager
        self._namespace = namespace
        self._trim_at = time.monotonic() + _TRIM_EVERY
        self._recorded = 0
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        self._lock = threading.Lock()

    def record(
        self, *, keys: Iterable[str] = (), tags: Iterable[str] = (), patterns: Iterable[str] = ()
    ) -> None:
        """Record what is about to be dropped.

        Raises:
            TierUnavailableError: The server did not answer: nothing must be dropped that is not recorded.
        """
        if not self.window:
            return
        self._manager.ensure_schema()
        columns = [[storage_text(name) for name in names] for names in (keys, tags, patterns)]
        for start in range(0, max(map(len, columns)), _MOST_NAMES):
            part = [names[start : start + _MOST_NAMES] for names in columns]
            self._write(*part)
            if self._is_time_to_trim():
                self.trim()

    def _write(self, keys: list[str], tags: list[str], patterns: list[str]) -> None:
        params = {"namespace": self._namespace, "keys": keys, "tags": tags, "patterns": patterns}
        [(xact,)] = self._manager.fetch(self._manager.statement("changes/record"), params)
        if (own := _own.get()) is not None:
            own.append(xact)

    def _is_time_to_trim(self) -> bool:
        now = time.monotonic()
        with self._lock:
            self._recorded += 1
            is_time = self._recorded >= _TRIM_AFTER or now >= self._trim_at
            if is_time:
                self._recorded, self._trim_at = 0, now + _TRIM_EVERY
        return is_time

    def trim(self) -> None:
        """Forget some of what is older than the window.

        Raises:
            TierUnavailableError: The server did not answer.
        """
        params = {"namespace": self._namespace, "age": self.window, "limit": _TRIMMED_AT_ONCE}
        self._manager.execute(self._manager.statement("changes/trim"), params)

    def unseen(self, positions: Collection[Position], keys: Collection[str], tags: Collection[str]) -> Unseen:
        """Return what was dropped before now and some of these positions do not see.

        Args:
            positions: Where was read.
            keys: Keys to ask about.
            tags: Tags to ask about; the tag "" is the whole namespace.

        Raises:
            TierUnavailableError: The server did not answer.
        """
        self._manager.ensure_schema()
        query = self._manager.statement("changes/unseen")
        [(found_keys, found_tags, patterns, is_unknown)] = self._manager.fetch(
            query,
            {
                "namespace": self._namespace,
                "snapshots": [position.snapshot for position in positions],
                "replayed": [position.replayed for position in positions],
                "since": [position.since for position in positions],
                "window": self.window,
                "own": [xact for position in positions for xact in position.own],
                "keys": [storage_text(key) for key in keys],
                "tags": [storage_text(tag) for tag in tags],
            },
        )
        return Unseen(
            keys=frozenset(map(restore_text, found_keys)),
            tags=frozenset(map(restore_text, found_tags)),
            patterns=tuple(map(restore_text, patterns)),
            is_unknown=is_unknown,
        )


@contextlib.contextmanager
def noting_own() -> Iterator[list[str]]:
    """Note in a list the transactions in which the body, on this thread, records what it drops."""
    own: list[str] = []
    token = _own.set(own)
    try:
        yield own
    finally:
        _own.reset(token)
