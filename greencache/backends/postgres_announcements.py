"""What a transaction announces: written on its own connection, and read back once it is committed."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from greencache.backends.postgres import PostgresManager
from greencache.backends.postgres_foreign import row_of

__all__ = ["Announced", "Announcements"]

_XACT = "select pg_current_xact_id_if_assigned()::text"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """A row of the outbox.

    Args:
        number: Its own.
        keys, tags, patterns: What it names.
        is_everything: Whether it is for the whole namespace.
    """

    number: int
    keys: Sequence[str] = ()
    tags: Sequence[str] = ()
    patterns: Sequence[str] = ()
    is_everything: bool = False


class Announcements:
    """What transactions on connections of the user's own announce for one namespace.

    Args:
        manager: Reads back what was committed.
        namespace: Whose caches are told.
    """

    def __init__(self, manager: PostgresManager, namespace: str) -> None:
        self._manager = manager
        self._namespace = namespace

    def install(self) -> None:
        """Make sure that greencache's tables are there.

        Raises:
            TierUnavailableError: They are not, and cannot be created.
        """
        self._manager.ensure_schema()

    def write(
        self,
        connection: Any,
        *,
        keys: Sequence[str] = (),
        tags: Sequence[str] = (),
        patterns: Sequence[str] = (),
        is_everything: bool = False,
    ) -> tuple[int, str]:
        """Announce something in a connection's transaction; return the row's number, and the transaction's.

        Raises:
            Exception: What the driver raises.
        """
        params = {
            "namespace": self._namespace,
            "keys": list(keys),
            "tags": list(tags),
            "patterns": list(patterns),
            "everything": is_everything,
        }
        query = self._manager.statement("outbox/announce").decode()
        try:
            number, xact = row_of(connection, query, params)
        except Exception as error:
            error.add_note(
                "greencache announces in this transaction what it changes. That takes the tables of"
                " greencache db migrate in this very database, and the right of USAGE on the schema"
                f" {self._manager.schema}"
            )
            raise
        return int(number), str(xact)

    @staticmethod
    def transaction_of(connection: Any) -> str | None:
        """Return the number of a connection's transaction; `None` if it has changed nothing."""
        [xact] = row_of(connection, _XACT)
        return None if xact is None else str(xact)

    def read(self, xact: str) -> list[Announced]:
        """Return what a transaction has announced, in order, if it is committed and nobody has done it yet.

        Raises:
            TierUnavailableError: The server did not answer.
        """
        query = self._manager.statement("outbox/own")
        rows = self._manager.fetch(query, {"namespace": self._namespace, "xact": xact})
        return [
            Announced(number=number, keys=keys, tags=tags, patterns=patterns, is_everything=everything)
            for number, keys, tags, patterns, everything in rows
        ]

    def forget(self, xact: str, numbers: Sequence[int]) -> None:
        """Delete rows that every tier has been told of.

        Raises:
            TierUnavailableError: The server did not answer; a listener reads them once more.
        """
        params = {"namespace": self._namespace, "xacts": [xact] * len(numbers), "ids": list(numbers)}
        self._manager.execute(self._manager.statement("outbox/forget"), params)
