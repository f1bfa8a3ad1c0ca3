"""A tier that saves a round trip where a lease is taken and what is there is looked at again."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from greencache.entry import Entry
from greencache.tiers.base import Lease
from greencache.typing import Key

__all__ = ["Prompt"]


@runtime_checkable
class Prompt(Protocol):
    """A tier that does both at once, unless its keys lie on several servers."""

    def reserve_and_get(self, keys: Sequence[Key]) -> tuple[dict[Key, Lease], dict[Key, Entry]]:
        """Return what `Tier.reserve_many` returns, and what `Tier.get_many` would return after that."""
        ...
