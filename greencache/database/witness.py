"""Compares where loaders have read with what was dropped lately."""

from collections.abc import Collection, Mapping

from greencache.backends.postgres_changes import Changes
from greencache.backends.postgres_position import Position
from greencache.errors import TierUnavailableError
from greencache.keys import Pattern
from greencache.typing import Key

__all__ = ["ChangeWitness"]


class ChangeWitness:
    """Knows by the record of changes what must not be stored: `greencache.loading.Witness`.

    Args:
        changes: The record.
    """

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    def outdated(self, positions: Collection[Position], named: Mapping[Key, Collection[str]]) -> set[Key]:
        """Return the keys that were dropped, by whatever name, and of which a position does not see why.

        All of them where that cannot be told: positions that are too old, or nobody who answers.
        """
        if not self._changes.window:
            return set()
        tags = {tag for names in named.values() for tag in names}
        try:
            unseen = self._changes.unseen(positions, named, tags)
        except TierUnavailableError:
            return set(named)
        if unseen.is_unknown:
            return set(named)
        patterns = [Pattern(text) for text in unseen.patterns]
        return {
            key
            for key, names in named.items()
            if key in unseen.keys
            or not unseen.tags.isdisjoint(names)
            or any(pattern.matches(key) for pattern in patterns)
        }
