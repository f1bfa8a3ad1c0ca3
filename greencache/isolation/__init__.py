"""Whether what one caller does to a value can be seen by the others who read it."""

import enum
from typing import TYPE_CHECKING

from greencache.errors import ConfigurationError

if TYPE_CHECKING:
    from greencache.isolation.keepers import Keeper as Keeper

__all__ = ["Isolation", "keeper_of"]


class Isolation(enum.StrEnum):
    """What readers of one entry share."""

    REFERENCE = "reference"
    """The object itself: fastest, and whoever changes it changes it for all."""
    FROZEN = "frozen"
    """One copy that cannot be changed, made when the value is stored; what cannot be frozen is copied."""
    COPY = "copy"
    """Nothing: each reader gets a copy. What cannot be changed anyway is not copied."""


def keeper_of(isolation: Isolation | str) -> "Keeper | None":
    """Return what keeps values, or `None` where they are kept as they are.

    Raises:
        ConfigurationError: If there is no isolation of that name.
    """
    try:
        chosen = Isolation(isolation)
    except ValueError:
        names = ", ".join(Isolation)
        raise ConfigurationError(f"isolation must be one of {names}, got {isolation!r}") from None
    if chosen is Isolation.REFERENCE:
        return None
    # What most caches have needs nothing of this to be loaded.
    from greencache.isolation.keepers import CopyKeeper, FreezingKeeper

    return FreezingKeeper() if chosen is Isolation.FROZEN else CopyKeeper()
