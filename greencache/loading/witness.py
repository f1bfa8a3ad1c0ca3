"""Who knows whether what was read at some position of a database may be stored."""

from collections.abc import Collection, Mapping
from typing import Protocol

from greencache.backends.postgres_position import Position
from greencache.typing import Key

__all__ = ["Witness"]


class Witness(Protocol):
    """Knows what was dropped lately."""

    def outdated(self, positions: Collection[Position], named: Mapping[Key, Collection[str]]) -> set[Key]:
        """Return the keys that were dropped, by whatever name, and of which a position does not see why.

        Args:
            positions: Where the values were read.
            named: Of each key its tags; the tag "" is the whole namespace.
        """
        ...
