"""One small record for each thing worth telling, and who is told."""

import enum
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from greencache.typing import CacheTier, Key

__all__ = ["Event", "EventKind", "NullRecorder", "Recorder"]


class EventKind(enum.StrEnum):
    """What happened. A hit is no event: nothing is recorded on the hot path."""

    TIER_DOWN = "tier_down"
    TIER_DEGRADED = "tier_degraded"
    TIER_UP = "tier_up"
    TIER_SLOW = "tier_slow"
    TIER_QUICK = "tier_quick"
    UNDECODABLE = "undecodable"
    TOO_LARGE = "too_large"
    UNENCODABLE = "unencodable"
    LOAD_FAILED = "load_failed"
    STALE_SERVED = "stale_served"
    DEGRADED = "degraded"
    INVALIDATED = "invalidated"
    INVALIDATION_PENDING = "invalidation_pending"
    INVALIDATION_LOST = "invalidation_lost"
    INVALIDATION_REPLAYED = "invalidation_replayed"
    BUS_GAP = "bus_gap"
    BUS_LOST = "bus_lost"
    BUS_BACK = "bus_back"
    OUTBOX_LOST = "outbox_lost"
    OUTBOX_BACK = "outbox_back"
    OUTBOX_LATE = "outbox_late"
    SERVER_CHANGED = "server_changed"
    REFRESH_FAILED = "refresh_failed"
    FEATURE_MISSING = "feature_missing"
    BACKGROUND_FAILED = "background_failed"
    RECORDING_ENDED = "recording_ended"


class Event(NamedTuple):
    """Something that happened.

    Args:
        kind: What.
        tier: Where, if in one tier.
        key: To which key, if to one.
        detail: More, by name; never a value of the user's.
    """

    kind: EventKind
    tier: CacheTier | None = None
    key: Key | None = None
    detail: Mapping[str, Any] = {}


class Recorder(Protocol):
    """Is told of events; called outside of all locks."""

    def record(self, event: Event) -> None:
        """Take note of an event. Must not raise and must not call the cache."""
        ...


class NullRecorder:
    """Takes no note of anything."""

    __slots__ = ()

    def record(self, event: Event) -> None:
        """Ignore the event."""
