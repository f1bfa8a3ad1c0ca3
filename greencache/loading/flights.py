"""What leaders and followers of flights hand each other."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from greencache.entry import Entry
from greencache.flight import Flight
from greencache.typing import MISSING, Key

__all__ = ["Entries", "Flights", "is_lacking", "offering"]

Entries: TypeAlias = dict[Key, Entry]
Flights: TypeAlias = dict[Key, Flight]


def is_lacking(entry: Entry | None, *, takes_absent: bool) -> bool:
    """Return whether somebody still lacks a key for which another leader has found this."""
    return entry is None or (entry.kept is MISSING and not takes_absent)


def offering(led: Flights) -> Callable[[Mapping[Key, Entry]], None]:
    """Return what lets those who follow flights have stale values meanwhile."""

    def offer(stale: Mapping[Key, Entry]) -> None:
        for key, flight in led.items():
            flight.meanwhile = stale.get(key)

    return offer
