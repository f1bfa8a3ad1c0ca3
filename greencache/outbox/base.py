"""What the database announces, who is told of it, and who listens."""

import dataclasses
from collections.abc import Mapping
from typing import Protocol

from greencache.typing import Key

__all__ = ["Change", "ChangeSink", "NullOutbox", "OutboxFollower"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What must be forgotten because its source has changed.

    Args:
        keys: Keys.
        tags: Tags.
        patterns: Patterns, as text.
        is_everything: Whether it is the whole namespace.
        refreshed: Keys that have another row in a view; the view itself need not forget them.
        refreshed_patterns: Patterns of such keys, as text.
    """

    keys: tuple[Key, ...] = ()
    tags: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    is_everything: bool = False
    refreshed: tuple[Key, ...] = ()
    refreshed_patterns: tuple[str, ...] = ()


class ChangeSink(Protocol):
    """A cache that is told of changes."""

    @property
    def is_settled(self) -> bool:
        """Whether no tier still has to be told of anything."""
        ...

    def apply(self, change: Change) -> bool:
        """Forget what has changed, in every tier and process.

        Returns:
            Whether it is done; otherwise it is queued in this process for tiers that are out of reach.
        """
        ...


class OutboxFollower(Protocol):
    """Hears what the database announces."""

    def start(self, sink: ChangeSink) -> None:
        """Begin to listen, unless that has begun; again in a forked child."""
        ...

    def state(self) -> Mapping[str, object]:
        """Return how it is doing, as plain types."""
        ...

    def close(self) -> None:
        """Stop listening; may be called twice."""
        ...


class NullOutbox:
    """For a cache without a database, or one that announces nothing."""

    __slots__ = ()

    def start(self, sink: ChangeSink) -> None:
        """Listen to nobody."""

    def state(self) -> Mapping[str, object]:
        """Return nothing: there is nothing to tell."""
        return {}

    def close(self) -> None:
        """Do nothing."""
