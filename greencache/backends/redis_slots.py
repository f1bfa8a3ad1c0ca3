"""Which node of a Cluster owns which keys."""

import binascii
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

__all__ = ["SLOTS", "Place", "SlotMap", "slot_of"]

Place: TypeAlias = tuple[str, int]
"""Host and port of a node."""

SLOTS: Final = 16_384


def slot_of(key: bytes) -> int:
    """Return the slot of a key: CRC16 of it, or of its hash tag (Redis Cluster specification)."""
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return binascii.crc_hqx(key, 0) % SLOTS


class SlotMap:
    """The owner of each slot, as of one moment; never changed.

    Args:
        owners: By slot; `None` for a slot that nobody owns.
    """

    __slots__ = ("is_whole", "owners", "places")

    def __init__(self, owners: Sequence[Place | None]) -> None:
        self.owners = owners
        self.places: tuple[Place, ...] = tuple(dict.fromkeys(place for place in owners if place is not None))
        """The primaries that own slots."""
        self.is_whole = None not in owners

    @classmethod
    def empty(cls) -> "SlotMap":
        """Return a map of a Cluster that nothing is known of."""
        return cls([None] * SLOTS)

    @classmethod
    def from_reply(cls, reply: Iterable[Any], host: str) -> "SlotMap":
        """Read a reply to CLUSTER SLOTS.

        Args:
            reply: Ranges of slots with their primary first.
            host: Of the node that was asked, which may not know its own.
        """
        owners: list[Place | None] = [None] * SLOTS
        for first, last, primary, *_ in reply:
            named = primary[0].decode() if primary[0] else ""
            place = (host if named in ("", "?") else named, int(primary[1]))
            owners[first : last + 1] = [place] * (last + 1 - first)
        return cls(owners)

    def moved(self, slot: int, place: Place) -> "SlotMap":
        """Return a map in which one slot has another owner."""
        owners = list(self.owners)
        owners[slot] = place
        return SlotMap(owners)

    def succeeded(self, former: Place, place: Place) -> "SlotMap":
        """Return a map in which a node has taken the place of another."""
        return SlotMap([place if owner == former else owner for owner in self.owners])

    def has_successor_of(self, former: "SlotMap") -> bool:
        """Return whether somebody may have taken the place of another node.

        Slots that go from one primary to another while both have some before and after are moved, and no
        key is lost by that. A node that had none before may be a replica that was promoted; one that has
        none any more may have been replaced.
        """
        if self.owners == former.owners:
            return False
        lasting = {*former.places}.intersection(self.places)
        pairs = zip(self.owners, former.owners, strict=True)
        return any(a != b and not (a in lasting and b in lasting) for a, b in pairs if a and b)
