"""What is known of one key, as data that a program or a person can read."""

import dataclasses
import datetime as dt
import enum
from collections.abc import Iterator
from typing import Any

from greencache.inspection.findings import BusFinding, FlightFinding, ReadFinding, TierFinding
from greencache.inspection.text import block, printable
from greencache.typing import CacheTier, Key, Seconds

__all__ = ["Explanation"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Everything that this process can find out about one key, as of one moment.

    Args:
        key: The key.
        namespace: The namespace of the cache.
        process: Who looked, as "host:pid".
        wall: When, in seconds since 1970.
        answered_by: The tier that would answer a read now; `None` if it would be a miss.
        tiers: What each tier has of it, from the nearest to the deepest.
        stamps_from: Who said which stamps are current: a tier, or "this process" if that was out of reach.
        bus: How well this process hears the others.
        flight: The load of it that is under way in this process, if there is one.
        reads: What its last reads in this process did, the oldest first; hits in L1 are not recorded.
    """

    key: Key
    namespace: str
    process: str
    wall: Seconds
    answered_by: CacheTier | None
    tiers: tuple[TierFinding, ...]
    stamps_from: str
    bus: BusFinding
    flight: FlightFinding | None
    reads: tuple[ReadFinding, ...]

    def __getitem__(self, tier: CacheTier | str) -> TierFinding:
        """Return what was found in a tier; of a tier of several parts, the part that has the key."""
        name = CacheTier[tier] if isinstance(tier, str) else tier
        parts = [each for each in self.tiers if each.tier is name]
        if not parts:
            raise KeyError(name)
        return next((part for part in parts if part.entry is not None), parts[-1])

    def as_dict(self) -> dict[str, Any]:
        """Return the explanation as plain types, for JSON."""
        plain: dict[str, Any] = _plain(self)
        return plain

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        moment = dt.datetime.fromtimestamp(self.wall, dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        yield printable(f"{self.key}   namespace {self.namespace}, seen by {self.process}, {moment}")
        if self.answered_by is None:
            yield "A read now would be a miss."
        else:
            entry = next(each.entry for each in self.tiers if each.would_answer)
            what = ": remembered as missing" if entry is not None and entry.is_absence else ""
            yield f"A read now would be answered by {self.answered_by}{what}."
        yield ""
        for tier in self.tiers:
            yield from block(f"{tier.tier}  {tier.kind:<9} {tier.verdict}", tier.rows())
        yield ""
        yield printable(f"bus     {self.bus}")
        yield printable(f"flight  {self.flight or 'none in this process'}")
        yield "reads   " + ("" if self.reads else "none recorded; ") + "hits in L1 are not recorded"
        yield from (printable(f"    {read}") for read in self.reads)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, CacheTier):
        return value.name
    return value.value if isinstance(value, enum.Enum) else value
