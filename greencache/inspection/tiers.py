"""One tier's part of an explanation."""

import dataclasses
import math
from collections.abc import Iterable, Sequence

from greencache.clock import Clock
from greencache.entry import Entry, State, judge
from greencache.inspection.findings import BreakerFinding, EntryFinding, Freshness, TierFinding
from greencache.inspection.stamps import CurrentStamps
from greencache.inspection.text import duration
from greencache.keys import Pattern
from greencache.stamps import NAMESPACE
from greencache.tiers.base import Tier
from greencache.tiers.guarded import GuardedTier
from greencache.tiers.inspection import Inspection, Protected, examined
from greencache.tiers.memory import MemoryTier
from greencache.tiers.stack import Stack
from greencache.typing import MISSING, Key, Seconds

__all__ = ["Examined", "Verdicts", "entry_finding", "examine"]


@dataclasses.dataclass(frozen=True, slots=True)
class Examined:
    """What a look at a tier has found.

    Args:
        tier: The tier as the stack has it.
        found: What it has of the key.
        error: Why it is out of reach; empty if it answered.
    """

    tier: MemoryTier | GuardedTier
    found: Inspection
    error: str

    @property
    def entry(self) -> Entry | None:
        """What it holds."""
        return self.found.entry

    @property
    def waiting(self) -> tuple[str, ...]:
        """The drops that wait for it."""
        return self.tier.waiting if isinstance(self.tier, GuardedTier) else ()

    def finding(
        self, key: Key, tags: Iterable[str], *, entry: EntryFinding | None, would_answer: bool, verdict: str
    ) -> TierFinding:
        """Return the tier's part of the explanation.

        Args:
            key: The key.
            tags: The tags under which any tier has it.
            entry: What was found out about what it holds.
            would_answer: Whether it would answer.
            verdict: Why, or why not.
        """
        own = _itself(self.tier)
        waiting = self.waiting
        names = {NAMESPACE, *tags}
        return TierFinding(
            tier=self.tier.name,
            kind=type(own).__name__.removesuffix("Tier").lower(),
            would_answer=would_answer,
            verdict=verdict,
            error=self.error,
            entry=entry,
            lease=self.found.lease,
            breaker=_breaker_finding(own),
            waiting=len(waiting),
            covering=tuple(each for each in waiting if _covers(each, key, names)),
        )


def examine(tier: MemoryTier | GuardedTier, key: Key) -> Examined:
    """Return what a tier has of a key, past its guard, which would replay drops and record an outage."""
    own = _itself(tier)
    found, error = examined(lambda: own.inspect_many([key]).get(key))
    return Examined(tier, found or Inspection(), error)


def entry_finding(look: Examined, entry: Entry, current: CurrentStamps, clock: Clock) -> EntryFinding:
    """Return what is known of an entry that a tier holds."""
    now = clock.now()
    is_absence = entry.kept is MISSING
    state = judge(entry, now)
    if is_absence and state is State.DUE:
        state = State.FRESH  # it is due by design, so that nobody serves it without a second look
    return EntryFinding(
        freshness=Freshness(state.name.lower()),
        age=max(0.0, clock.wall() - entry.created) if entry.created else None,
        fresh_for=_left(entry.fresh_until, now),
        kept_for=_left(entry.stale_until, now),
        size=look.found.size,
        cost=entry.cost or None,
        is_absence=is_absence,
        stamps=current.compare(entry),
    )


class Verdicts:
    """Says of each tier whether it would answer a read, and why; by the rules that reads follow.

    Args:
        stack: The tiers.
        looks: What was found in them.
        now: Seconds of the process's clock.
    """

    def __init__(self, stack: Stack, looks: Sequence[Examined], now: Seconds) -> None:
        self._own = {id(tier) for tier in (stack.memory, *stack.ahead_of_authority)}
        self._is_heard = stack.is_heard
        self._passed_by = {
            id(tier): tier.pace.reason for tier in stack.ahead_of_authority if stack.may_be_passed_by(tier)
        }
        is_alone = any(look.error and look.tier is stack.authority for look in looks)
        self._serves_unproved = is_alone and stack.serves_unproved
        self._now = now

    def of(self, look: Examined, entry: EntryFinding | None) -> tuple[bool, str]:
        """Return whether a tier would answer, and why or why not."""
        if reason := _obstacle(look) or self._detour(look) or _flaw(look, entry):
            return False, reason
        assert entry is not None  # noqa: S101 -- its absence is an obstacle
        if id(look.tier) not in self._own or self._is_heard:
            return True, _answer(entry)
        if self._serves_unproved:
            return True, "answers, degraded: cannot be proved, and the authority is out of reach"
        return False, "not believed: what others announce is not heard, so it may be outdated"

    def _detour(self, look: Examined) -> str:
        reason = self._passed_by.get(id(look.tier))
        return "" if reason is None else f"slow, and passed by: {reason}"


def _obstacle(look: Examined) -> str:
    """Return why a tier is not read, or what is there not answered; empty if nothing stands against it."""
    if look.error:
        return f"out of reach: {look.error}"
    if look.waiting:
        return f"not read before {len(look.waiting)} waiting drops have been replayed"
    return look.found.problem


def _flaw(look: Examined, entry: EntryFinding | None) -> str:
    """Return why what a tier holds is not good enough; empty if it is."""
    if entry is None:
        return "does not have it"
    if entry.outdated and not isinstance(look.tier, MemoryTier):
        return f"outdated by {', '.join(stamp.name for stamp in entry.outdated)}"
    if entry.freshness is Freshness.STALE:
        return "stale: served only when loading fails or takes too long"
    return "gone" if entry.freshness is Freshness.GONE else ""


def _answer(entry: EntryFinding) -> str:
    if entry.outdated:
        # L1 compares no stamps when it is read: it is told, and then forgets at once.
        return "answers, though it was invalidated: this process has not heard of that yet"
    if entry.is_absence:
        return f"answers that there is nothing, for {duration(entry.fresh_for)}"
    if entry.freshness is Freshness.DUE:
        return "answers, and is reloaded in the background"
    return f"answers for {duration(entry.fresh_for)}"


def _itself(tier: MemoryTier | GuardedTier) -> Tier:
    return tier.tier if isinstance(tier, GuardedTier) else tier


def _breaker_finding(tier: Tier) -> BreakerFinding | None:
    if not isinstance(tier, Protected):
        return None
    breaker = tier.breaker
    return BreakerFinding(state=breaker.state, reason=breaker.reason, next_probe_in=breaker.next_probe_in)


def _left(moment: Seconds, now: Seconds) -> Seconds | None:
    return None if math.isinf(moment) else moment - now


def _covers(waiting: str, key: Key, tags: Iterable[str]) -> bool:
    """Return whether a drop, described as "key:…", "pattern:…" or "stamp:…", concerns a key."""
    kind, _, name = waiting.partition(":")
    if kind == "pattern":
        return Pattern(name).matches(key)
    return name == key if kind == "key" else name in tags
