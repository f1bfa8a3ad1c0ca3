"""Cache-aside: the source is written, and the cache forgets."""

from collections.abc import Callable
from typing import Any

from greencache.entry import Entry
from greencache.strategies.base import Strategy
from greencache.strategies.descent import Dropped
from greencache.tiers.stack import Stack
from greencache.typing import Key

__all__ = ["CacheAside"]


class CacheAside(Strategy):
    """Writes the source first, then drops the key everywhere; the next read loads it."""

    def write(
        self,
        stack: Stack,
        key: Key,
        make_entry: Callable[[], Entry],  # noqa: ARG002 -- the strategy's signature
        writer: Callable[[], Any],
    ) -> Dropped:
        """Write the source, then drop the key."""
        writer()
        return self.drop(stack, [key])
