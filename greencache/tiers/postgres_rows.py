"""Statements over columns of keys, a part at a time."""

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from greencache.backends.postgres import Effect, PostgresManager, Row
from greencache.typing import Seconds

__all__ = ["CHUNK", "RunRows", "rows_of"]

CHUNK: Final = 1_000
"""Keys in one statement: few enough that no other waits long for its rows."""
_EFFECTS: Final = {
    "entries/put": Effect.OVERWRITES,
    "stamps/replace": Effect.OVERWRITES,
    "entries/drop": Effect.FORGETS,
}

RunRows: TypeAlias = Callable[..., list[Row]]


def rows_of(manager: PostgresManager, namespace: str) -> RunRows:
    """Return what runs a statement over columns of equal length, given by name, and returns its rows.

    Args:
        manager: Talks to the server.
        namespace: The cache's.
    """

    def run(name: str, ttl: Seconds = 0.0, **columns: Sequence[Any]) -> list[Row]:
        manager.ensure_schema()
        query, effect = manager.statement(name), _EFFECTS.get(name, Effect.HARMLESS)
        length = len(next(iter(columns.values())))
        rows: list[Row] = []
        for start in range(0, length, CHUNK):
            part = {column: values[start : start + CHUNK] for column, values in columns.items()}
            rows += manager.fetch(query, {"namespace": namespace, "ttl": ttl, **part}, effect)
        return rows

    return run
