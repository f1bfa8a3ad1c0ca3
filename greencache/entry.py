"""An entry is a value with its times and stamps; every rule of time is here, and pure."""

import enum
import math
from collections.abc import Mapping
from typing import Any, TypeAlias

from greencache.typing import MISSING, CacheTier, Key, Seconds

__all__ = [
    "XFETCH_REACH",
    "Entry",
    "Stamps",
    "State",
    "is_due_early",
    "judge",
    "present",
    "remaining",
    "restored",
]

_new = object.__new__

Stamps: TypeAlias = tuple[tuple[str, str], ...]
"""Pairs of a tag and the stamp that was current before the load began; the tag "" is the namespace."""


XFETCH_REACH = 37.0
"""How many load times before its end an entry can be found due early: no draw of a 53-bit random number
reaches farther, since -ln(2**-53) is 36.7."""


class State(enum.IntEnum):
    """How far an entry has aged."""

    FRESH = 0
    """Served as it is."""
    DUE = 1
    """Served as it is, and reloaded in the background."""
    STALE = 2
    """Served only when nothing better can be had."""
    GONE = 3
    """Never served."""


class Entry:
    """A value with its times, in seconds of the process's own clock, and its stamps.

    Not changed once it can be seen by more than its maker, but for `marked`; `weight` and `home` are its
    L1's own.

    Args:
        value: The user's object; `MISSING` to remember that the source has none. Such an entry is always
            due, so that whoever serves fresh entries without a second look passes it by.
        fresh_until: When it stops being fresh; `math.inf` for never.
        stale_until: When it is gone; not before `fresh_until`.
        due_at: When a background reload becomes due; `fresh_until` if not given.
        created: Seconds since 1970 at which the value was loaded or set.
        stamps: The stamps that were current before the value was loaded.
        tier: The deepest tier that keeps it; `None` for all.
        cost: Seconds that loading it took; 0 when unknown.
    """

    __slots__ = (
        "cost",
        "created",
        "due_at",
        "fresh_until",
        "home",
        "kept",
        "marked",
        "stale_until",
        "stamps",
        "tier",
        "weight",
    )

    kept: Any
    """What is kept, for those who only look at it."""
    value: Any
    """What a reader gets: the same, or where readers are kept apart a copy."""

    def __init__(
        self,
        value: Any,
        fresh_until: Seconds,
        stale_until: Seconds = 0.0,
        *,
        due_at: Seconds | None = None,
        created: Seconds = 0.0,
        stamps: Stamps = (),
        tier: CacheTier | None = None,
        cost: Seconds = 0.0,
    ) -> None:
        self.kept = value
        self.fresh_until = fresh_until
        # Of equals these return the first: most entries need one float for all three.
        self.stale_until = max(fresh_until, stale_until)
        self.due_at = fresh_until if due_at is None else min(fresh_until, due_at)
        if value is MISSING:
            self.due_at = -math.inf
        self.created = created
        self.stamps = stamps
        self.tier = tier
        self.cost = cost
        self.marked = 0
        """Hits that the eviction policy has not looked at yet, up to `policies.MOST_MARKS`; a race that is
        lost on it costs nothing but accuracy."""
        self.weight: float = 0
        """Bytes that it takes in the L1 that holds it or has held it; 0 if none ever did."""
        self.home: Any = None
        """Where in the eviction policy's order it is; `None` if it is in none."""

    @property
    def plain(self) -> Any:
        """The value as it was given, for those who encode it."""
        return self.kept

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags it was stored under."""
        return tuple(tag for tag, _ in self.stamps if tag)

    def retained(self, until: Seconds) -> "Entry":
        """Return the entry as a tier keeps it that asks the tier below again at a given time.

        Past that time it is stale there but not gone: its source still vouches for it.

        Args:
            until: When this tier stops calling it fresh, in seconds of the process's clock.
        """
        return self if until >= self.fresh_until else self._until(until, self.due_at)

    def revived(self, until: Seconds) -> "Entry":
        """Return the entry as one that is fresh for a while, whatever it is now, but kept no longer.

        Args:
            until: When its source may be asked again, in seconds of the process's clock.
        """
        return self._until(max(self.fresh_until, min(until, self.stale_until)), until)

    def keeping(self, kept: Any, kind: "type[Entry]") -> "Entry":
        """Return the entry with another object in it.

        Args:
            kept: The object.
            kind: How its readers get it.
        """
        return self._until(self.fresh_until, self.due_at, kept, kind)

    def copied(self) -> "Entry":
        """Return an entry like this that no L1 has held."""
        return self._until(self.fresh_until, self.due_at)

    def _until(
        self, until: Seconds, due_at: Seconds, kept: Any = MISSING, kind: "type[Entry] | None" = None
    ) -> "Entry":
        return (kind or type(self))(
            self.kept if kept is MISSING else kept,
            until,
            self.stale_until,
            due_at=due_at,
            created=self.created,
            stamps=self.stamps,
            tier=self.tier,
            cost=self.cost,
        )

    def __repr__(self) -> str:
        # The value is the user's business and must not reach a log by accident.
        return f"<Entry fresh_until={self.fresh_until:.3f} stale_until={self.stale_until:.3f}>"


Entry.value = vars(Entry)["kept"]  # the slot itself under a second name: both cost the same to read


def restored(  # noqa: PLR0917 -- by position, since this is most of what reading a small entry costs
    value: Any,
    fresh_until: Seconds,
    stale_until: Seconds,
    due_at: Seconds,
    created: Seconds,
    stamps: Stamps,
    tier: CacheTier | None,
    cost: Seconds,
) -> Entry:
    """Return the entry that a server had, of a value that is not `MISSING`; arguments as of `Entry`."""
    entry = _new(Entry)
    entry.value = value
    entry.fresh_until = fresh_until
    # A call of `max` would take as long as three of these lines.
    entry.stale_until = stale_until if stale_until > fresh_until else fresh_until  # noqa: FURB136
    entry.due_at = due_at if due_at < fresh_until else fresh_until  # noqa: FURB136
    entry.created = created
    entry.stamps = stamps
    entry.tier = tier
    entry.cost = cost
    entry.marked = 0
    entry.weight = 0
    entry.home = None
    return entry


def judge(entry: Entry, now: Seconds) -> State:
    """Return how far an entry has aged.

    Args:
        entry: What a tier holds.
        now: Seconds of the same clock that the entry's times are in.
    """
    if now < entry.due_at:
        return State.FRESH
    if now < entry.fresh_until:
        return State.DUE
    if now < entry.stale_until:
        return State.STALE
    return State.GONE


def present(entries: Mapping[Key, Entry]) -> dict[Key, Entry]:
    """Return the entries that have a value, without those that say that there is none."""
    return {key: entry for key, entry in entries.items() if entry.kept is not MISSING}


def is_due_early(entry: Entry, now: Seconds, beta: float, draw: float) -> bool:
    """Return whether one reader of many should reload an entry that has not expired (XFetch).

    Each reader decides by itself, the likelier the nearer the end is and the longer a load takes, so that
    about one does so in good time (Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache
    Stampede Prevention", PVLDB 8(8), 2015, figure 3).

    Args:
        entry: What was found; due since `XFETCH_REACH` times beta times its cost before its end, also where
            a tier near the reader asks below again before that end.
        now: Seconds of the clock that the entry's times are in.
        beta: Above 1 favours early reloads, below 1 late ones.
        draw: A random number of at least 0 and less than 1.
    """
    reach = entry.cost * beta
    end = max(entry.fresh_until, entry.due_at + XFETCH_REACH * reach)
    return now - reach * math.log(1.0 - draw) >= end


def remaining(moment: Seconds, now: Seconds) -> Seconds | None:
    """Return the seconds from now to a moment, not below zero; `None` when it never comes."""
    return None if math.isinf(moment) else max(0.0, moment - now)
