"""What a tier may offer to those who watch its health."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from greencache.tiers.base import TierHealth
from greencache.typing import CacheTier, Seconds

__all__ = ["HistoryKeeping", "Located", "Probing"]


@runtime_checkable
class Located(Protocol):
    """A tier that can say where its server is."""

    @property
    def place(self) -> str:
        """What all tiers on the same server, and no others, call it."""
        ...


@runtime_checkable
class Probing(Protocol):
    """A tier that can be asked for less than everything."""

    def probe(self) -> TierHealth:
        """Return how it is doing, without what only people look at."""
        ...


@runtime_checkable
class HistoryKeeping(Protocol):
    """A tier that keeps for all processes what each of them has noted lately."""

    def append_history(self, tier: CacheTier, lines: Sequence[str], *, most: int, longest: Seconds) -> None:
        """Add lines to what this process has noted about a tier.

        Args:
            tier: About which.
            lines: What it has noted.
            most: How many of the last lines are kept.
            longest: Seconds after which all of it goes, if nothing is added.
        """
        ...

    def read_history(self) -> dict[str, dict[CacheTier, list[str]]]:
        """Return the lines of every process, by "host:pid" and tier."""
        ...
