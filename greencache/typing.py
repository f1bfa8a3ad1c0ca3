"""The public home of greencache's types."""

import enum
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias, TypeVar

__all__ = [
    "MISSING",
    "NOT_MODIFIED",
    "UNSET",
    "BatchLoader",
    "CacheTier",
    "Key",
    "Loader",
    "Missing",
    "NotModified",
    "Seconds",
    "Unset",
    "Writer",
]

V = TypeVar("V")

Key: TypeAlias = str
Seconds: TypeAlias = float

Loader: TypeAlias = Callable[[], V]
"""Reads one value from its source."""

BatchLoader: TypeAlias = Callable[[list[Key]], Mapping[Key, V]]
"""Reads the values of many keys from their source; keys that do not exist are left out."""

Writer: TypeAlias = Callable[[Any], object]
"""Writes one value to its source."""


class CacheTier(enum.IntEnum):
    """The four places a value can be kept, from the nearest to the deepest."""

    L1 = 1
    """This process's memory."""
    L2 = 2
    """Redis on this host."""
    L3 = 3
    """Redis shared by all hosts."""
    L4 = 4
    """PostgreSQL."""

    def __str__(self) -> str:
        return self.name


class _Sentinel(enum.Enum):
    MISSING = "MISSING"
    NOT_MODIFIED = "NOT_MODIFIED"
    UNSET = "UNSET"

    def __repr__(self) -> str:
        return self.name

    def __bool__(self) -> bool:
        return False


Missing: TypeAlias = Literal[_Sentinel.MISSING]
MISSING: Final = _Sentinel.MISSING
"""Stands for a value that is not cached; `None` is a value like any other."""

NotModified: TypeAlias = Literal[_Sentinel.NOT_MODIFIED]
NOT_MODIFIED: Final = _Sentinel.NOT_MODIFIED
"""What a loader returns for a stale value that it was shown and that its source still vouches for."""

Unset: TypeAlias = Literal[_Sentinel.UNSET]
UNSET: Final = _Sentinel.UNSET
"""Stands for an argument that was not given, where `None` means something."""
