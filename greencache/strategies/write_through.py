"""Write-through: the source is written, and the cache takes the new value."""

from collections.abc import Callable
from typing import Any

from greencache.entry import Entry
from greencache.strategies.base import Strategy
from greencache.strategies.descent import Dropped
from greencache.tiers.stack import Stack
from greencache.typing import Key

__all__ = ["WriteThrough"]


class WriteThrough(Strategy):
    """Writes the source first, then stores the value in every tier."""

    def write(
        self, stack: Stack, key: Key, make_entry: Callable[[], Entry], writer: Callable[[], Any]
    ) -> Dropped:
        """Write the source, then put the entry."""
        writer()
        # Made after the write, so that its time to live begins when the source has it.
        entry = make_entry()
        return self.put(stack, {key: entry}, entry.tier)
