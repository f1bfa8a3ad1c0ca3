"""Whether what one caller does to a value can be seen by the others who read it."""

from greencache.isolation.frozen import FrozenDict, FrozenList, FrozenSet
from greencache.isolation.keepers import CopyKeeper, FreezingKeeper, Isolation, Keeper, keeper_of

__all__ = [
    "CopyKeeper",
    "FreezingKeeper",
    "FrozenDict",
    "FrozenList",
    "FrozenSet",
    "Isolation",
    "Keeper",
    "keeper_of",
]
