"""The parts of an explanation: what was found where."""

import dataclasses
import enum

from greencache.backends.breaker import BreakerState
from greencache.inspection.text import duration, size_text
from greencache.journal import Outcome
from greencache.tiers.inspection import HeldLease
from greencache.typing import CacheTier, Seconds

__all__ = [
    "BreakerFinding",
    "BusFinding",
    "EntryFinding",
    "FlightFinding",
    "Freshness",
    "ReadFinding",
    "StampFinding",
    "TierFinding",
]


class Freshness(enum.StrEnum):
    """How far an entry has aged."""

    FRESH = "fresh"
    DUE = "due"
    STALE = "stale"
    GONE = "gone"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StampFinding:
    """A stamp of an entry beside the one that is current.

    Args:
        tag: Of which tag; the empty one stands for the namespace.
        carried: The stamp that the entry carries.
        current: The current one; `None` if nobody who could be reached has one.
        is_current: Whether the entry's stamp proves it; otherwise it is absent for whoever compares.
    """

    tag: str
    carried: str
    current: str | None
    is_current: bool

    @property
    def name(self) -> str:
        """The tag as people call it."""
        return f"tag {self.tag}" if self.tag else "the namespace"

    def __str__(self) -> str:
        if self.is_current:
            return f"{self.name} has not changed"
        now = "none is known now" if self.current is None else f"{self.current[:8]} is current"
        return f"{self.name} was invalidated: the entry has {self.carried[:8]}, {now}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EntryFinding:
    """An entry that a tier holds; its value is nobody's business here.

    Args:
        freshness: How far it has aged.
        age: Seconds since the value was loaded or set; `None` if that is not known.
        fresh_for: Seconds for which it stays fresh, below zero since it was; `None` for ever.
        kept_for: Seconds until it is gone, below zero since it is; `None` for ever.
        size: Bytes that it takes in the tier; `None` if that is not known.
        cost: Seconds that loading it took; `None` if that is not known.
        is_absence: Whether it says that the source has no value.
        stamps: Its stamps beside the current ones.
    """

    freshness: Freshness
    age: Seconds | None
    fresh_for: Seconds | None
    kept_for: Seconds | None
    size: int | None
    cost: Seconds | None
    is_absence: bool
    stamps: tuple[StampFinding, ...]

    @property
    def outdated(self) -> tuple[StampFinding, ...]:
        """The stamps that are not current."""
        return tuple(stamp for stamp in self.stamps if not stamp.is_current)

    def stamp_rows(self) -> list[tuple[str, str]]:
        """Return a line for the stamps that prove it, and one for each that does not."""
        rows = [("stamp", str(stamp)) for stamp in self.outdated]
        if current := [stamp.name for stamp in self.stamps if stamp.is_current]:
            rows.append(("stamps", f"current: {', '.join(current)}"))
        return rows

    def __str__(self) -> str:
        parts = [self._aged()]
        if self.age is not None:
            parts.append(f"{duration(self.age)} old")
        if self.size is not None:
            parts.append(size_text(self.size))
        if self.cost is not None:
            parts.append(f"loaded in {duration(self.cost)}")
        if self.is_absence:
            parts.append("remembered as missing")
        return ", ".join(parts)

    def _aged(self) -> str:
        if self.freshness is Freshness.FRESH:
            return f"fresh for {duration(self.fresh_for)}"
        if self.freshness is Freshness.DUE:
            return f"due for a reload, fresh for {duration(self.fresh_for)}"
        if self.freshness is Freshness.STALE:
            return f"stale, kept for {duration(self.kept_for)}"
        return "gone"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BreakerFinding:
    """The circuit breaker of a tier's server.

    Args:
        state: What it does with calls.
        reason: The last failure.
        next_probe_in: Seconds until a call may pass; 0 if one may.
    """

    state: BreakerState
    reason: str
    next_probe_in: Seconds

    def __str__(self) -> str:
        if self.state is BreakerState.CLOSED:
            return "closed"
        return f"{self.state}, next probe in {duration(self.next_probe_in)}: {self.reason}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TierFinding:
    """What a tier, or a part of one, has of the key.

    Args:
        tier: Which of the four.
        kind: What it is: "memory", "redis", "view", "postgres".
        would_answer: Whether a read that came as far as this tier would be answered by it.
        verdict: Why, or why not.
        error: Why it is out of reach; empty if it answered.
        entry: What it holds.
        lease: The lease on the key there, if somebody holds one.
        breaker: The circuit breaker of its server, if there is one.
        waiting: How many drops wait for it, to be replayed before it is read again.
        covering: Those of them that concern this key.
    """

    tier: CacheTier
    kind: str
    would_answer: bool
    verdict: str
    error: str
    entry: EntryFinding | None
    lease: HeldLease | None
    breaker: BreakerFinding | None
    waiting: int
    covering: tuple[str, ...]

    @property
    def is_reachable(self) -> bool:
        """Whether it answered."""
        return not self.error

    def rows(self) -> list[tuple[str, str]]:
        """Return what is worth a line, each with its label."""
        rows: list[tuple[str, str]] = []
        if self.entry is not None:
            rows.append(("entry", str(self.entry)))
            rows += self.entry.stamp_rows()
        if self.lease is not None:
            rows.append(("lease", _lease_text(self.lease)))
        if self.breaker is not None and self.breaker.state is not BreakerState.CLOSED:
            rows.append(("breaker", str(self.breaker)))
        if self.waiting:
            concerned = f"of this key: {', '.join(self.covering)}" if self.covering else "none of this key"
            rows.append(("waiting", f"{self.waiting} to be dropped, {concerned}"))
        return rows


def _lease_text(lease: HeldLease) -> str:
    if lease.left is None:
        return f"{lease.holders} on the way down in this process"
    return f"held by {lease.holder or 'somebody'}, ends in {duration(lease.left)}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BusFinding:
    """How well this process hears what others announce.

    Args:
        kind: What it is: "redis", "local", or "none" where nothing is announced.
        is_joined: Whether it has ever proved that it hears everything, since it began or had a gap.
        trusted_for: Seconds for which L1 and the host's tiers are believed, below zero since they were;
            `None` for ever, or if it has not joined.
        applied: The number of the last announcement that was applied.
    """

    kind: str
    is_joined: bool
    trusted_for: Seconds | None
    applied: int

    def __str__(self) -> str:
        if self.kind == "none":
            return "none: nothing is announced to this process"
        if not self.is_joined:
            return f"{self.kind}, not joined: what this host has to itself is not believed"
        if self.trusted_for is None:
            trust = "trusted for ever"
        elif self.trusted_for > 0:
            trust = f"trusted for {duration(self.trusted_for)} more"
        else:
            trust = f"lost, trusted until {duration(-self.trusted_for)} ago"
        return f"{self.kind}, {trust}, announcements applied up to number {self.applied}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FlightFinding:
    """A load that is under way in this process.

    Args:
        since: Seconds since it began.
        leader: The name of the thread that began it, or its number.
    """

    since: Seconds
    leader: str

    def __str__(self) -> str:
        return f"under way for {duration(self.since)}, begun by {self.leader}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReadFinding:
    """What a read did.

    Args:
        ago: Seconds since then.
        wall: When, in seconds since 1970.
        outcome: What became of it.
        tiers: Where, if that matters.
        seconds: How long it took, if that matters.
        detail: Why.
    """

    ago: Seconds
    wall: Seconds
    outcome: Outcome
    tiers: tuple[CacheTier, ...]
    seconds: Seconds | None
    detail: str

    def __str__(self) -> str:
        tiers = f" in {', '.join(map(str, self.tiers))}" if self.tiers else ""
        took = "" if self.seconds is None else f", {duration(self.seconds)}"
        why = f": {self.detail}" if self.detail else ""
        return f"{duration(self.ago)} ago".ljust(16) + f"{self.outcome.replace('_', ' ')}{tiers}{took}{why}"
