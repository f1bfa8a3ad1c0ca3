"""Looking through greencache's tables in PostgreSQL, which changes nothing and does not create them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from greencache.backends.postgres import PostgresManager, Row
from greencache.backends.postgres_errors import StatementRefusedError
from greencache.keys import Pattern, restore_text, storage_text
from greencache.tiers.border import Border
from greencache.tiers.inspection import HeldLease, Inspection
from greencache.typing import Key, Seconds

__all__ = ["PostgresInspection", "rows_if_installed"]

_CHUNK: Final = 1_000
"""Keys in one statement."""


class PostgresInspection:
    """Finds out what the key-value table holds.

    Args:
        manager: Talks to the server.
        namespace: Whose keys.
        border: Exchanges entries for bytes.
    """

    def __init__(self, manager: PostgresManager, namespace: str, border: Border) -> None:
        self._manager = manager
        self._namespace = namespace
        self._border = border

    def scan_keys(self, pattern: Pattern) -> Iterator[Sequence[Key]]:
        """Yield the keys of entries that match, in a walk in key order."""
        after = ""
        while page := self._rows("entries/scan", like=pattern.like(), after=after, limit=_CHUNK):
            after = page[-1][0]
            # LIKE finds more than what matches.
            yield [key for (stored,) in page if pattern.matches(key := restore_text(stored))]

    def inspect_many(self, keys: Iterable[Key]) -> dict[Key, Inspection]:
        """Return what is there of each key."""
        wanted = dict.fromkeys(keys)
        rows = self._rows("entries/inspect", keys=list(map(storage_text, wanted)))
        held = {restore_text(stored): columns for stored, *columns in rows}
        return {key: self._inspection(key, *held[key]) if key in held else Inspection() for key in wanted}

    def find_stamps(self, tags: Iterable[str]) -> dict[str, str]:
        """Return the current stamps of the tags that have one, and create none."""
        rows = self._rows("stamps/read", tags=[storage_text(tag) for tag in dict.fromkeys(tags)])
        return {restore_text(tag): stamp for tag, stamp in rows}

    def _inspection(
        self, key: Key, data: bytes | None, token: str | None, left: Seconds | None
    ) -> Inspection:
        found = Inspection() if data is None else self._border.inspect(key, data)
        if token is None or left is None or left <= 0:
            return found
        return found.leased(HeldLease.of_token(token, left))

    def _rows(self, name: str, **parameters: Any) -> list[Row]:
        # What is not there holds nothing.
        return rows_if_installed(self._manager, name, {"namespace": self._namespace, **parameters}) or []


def rows_if_installed(manager: PostgresManager, name: str, parameters: Mapping[str, Any]) -> list[Row] | None:
    """Return the rows of a statement, or `None` where greencache's tables are not there yet.

    Raises:
        TierUnavailableError: The server did not answer in time, or refused the statement.
    """
    try:
        return manager.fetch(manager.statement(name), parameters)
    except StatementRefusedError as error:
        if not error.is_for_want_of_a_table:
            raise
        return None
