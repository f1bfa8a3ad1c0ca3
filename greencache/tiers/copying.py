"""A tier that can be read at copies of its server."""

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from greencache.entry import Entry
from greencache.typing import Key

__all__ = ["Copying"]


@runtime_checkable
class Copying(Protocol):
    """A tier that has copies of its entries which may be a little behind."""

    def read_copies(self, keys: Sequence[Key]) -> dict[Key, Entry]:
        """Return what copies have of keys, for all that this process knows; raises no outage."""
        ...

    def distrust_copies(self, keys: Iterable[Key] | None) -> None:
        """Note that others have changed keys, or `None` for any, before anybody here is told of it."""
        ...
