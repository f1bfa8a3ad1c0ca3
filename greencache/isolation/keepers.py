"""How values are kept so that a caller cannot change what others read."""

import copy
from typing import Any, Protocol

from greencache.entry import Entry
from greencache.errors import IsolationError
from greencache.isolation.frozen import Unfreezable, freeze, thaw
from greencache.isolation.shapes import Shape, copied_tree, shape_of

__all__ = ["CopyKeeper", "FreezingKeeper", "FrozenEntry", "GraphEntry", "Keeper", "TreeEntry"]


class FrozenEntry(Entry):
    """An entry whose value cannot be changed. A hit costs what it costs without isolation."""

    __slots__ = ()

    @property
    def plain(self) -> Any:
        """The value with containers as they were given: other processes need not know of ours."""
        return thaw(self.kept)


class TreeEntry(Entry):
    """An entry whose readers get copies of plain containers."""

    __slots__ = ()

    @property
    def value(self) -> Any:  # in the place of the slot, which stays behind `kept`
        """A copy. Others may make theirs at the same time: nobody ever changes what is kept."""
        return copied_tree(self.kept)


class GraphEntry(Entry):
    """An entry whose readers get copies of objects of any kind."""

    __slots__ = ()

    @property
    def value(self) -> Any:
        """A copy; made by the classes' own `__deepcopy__`, if they have one."""
        return _copied(self.kept, GraphEntry)


class Keeper(Protocol):
    """Decides, once for each value, what is kept and what readers get."""

    def keep(self, value: Any) -> tuple[type[Entry], Any]:
        """Return the kind of entry, and the object to keep, for a value that its giver may still change.

        Raises:
            IsolationError: If no copy can be made of it.
        """
        ...

    def adopt(self, entry: Entry) -> Entry:
        """Return an entry for one that was just made, by a codec, of an object that nobody else holds."""
        ...


class CopyKeeper:
    """Keeps a copy, and gives each reader another."""

    def keep(self, value: Any) -> tuple[type[Entry], Any]:
        """Return how to keep a value; see `Keeper`."""
        kind = _kind_of(value)
        return kind, value if kind is Entry else _copied(value, kind)

    def adopt(self, entry: Entry) -> Entry:
        """Return an entry to be read by many; see `Keeper`."""
        if type(entry) is not Entry:
            return entry  # of a tier that keeps entries themselves
        kind = _kind_of(entry.kept)
        return entry if kind is Entry else entry.keeping(entry.kept, kind)


class FreezingKeeper:
    """Keeps a frozen copy, or what cannot be frozen as a `CopyKeeper` does."""

    def keep(self, value: Any) -> tuple[type[Entry], Any]:
        """Return how to keep a value; see `Keeper`."""
        try:
            frozen = freeze(value)
        except Unfreezable:
            return GraphEntry, _copied(value, GraphEntry)
        except RecursionError:
            raise _too_deep() from None
        return Entry if frozen is value else FrozenEntry, frozen

    def adopt(self, entry: Entry) -> Entry:
        """Return an entry to be read by many; see `Keeper`."""
        if type(entry) is not Entry:
            return entry
        kind, kept = self.keep(entry.kept)
        return entry if kind is Entry else entry.keeping(kept, kind)


def _kind_of(value: Any) -> type[Entry]:
    try:
        shape = shape_of(value)
    except RecursionError:
        raise _too_deep() from None
    return {Shape.IMMUTABLE: Entry, Shape.TREE: TreeEntry, Shape.GRAPH: GraphEntry}[shape]


def _copied(value: Any, kind: type[Entry]) -> Any:
    try:
        return copied_tree(value) if kind is TreeEntry else copy.deepcopy(value)
    except RecursionError:
        raise _too_deep() from None
    except Exception as error:
        # The classes' own code runs here, which may raise anything.
        raise IsolationError(
            f"expected a value that copy.deepcopy can copy, got a {type(value).__name__} of which it says"
            f" {type(error).__name__}: {error}; such values need a cache with isolation 'reference'"
        ) from error


def _too_deep() -> IsolationError:
    return IsolationError("expected a value that is not nested so deeply that Python cannot follow")
