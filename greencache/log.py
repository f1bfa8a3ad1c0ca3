"""The cache's events as log lines, through structlog."""

import hashlib
import logging
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import structlog

from greencache.clock import Clock, SystemClock
from greencache.errors import ConfigurationError
from greencache.events import Event, EventKind
from greencache.typing import CacheTier, Key, Seconds

__all__ = ["StructlogRecorder"]

_LEVELS: Final = ("debug", "info", "warning", "error")

_LEVEL_OF: Final[Mapping[EventKind, str]] = {
    EventKind.TIER_DOWN: "warning",
    EventKind.TIER_DEGRADED: "warning",
    EventKind.TIER_UP: "info",
    EventKind.TIER_SLOW: "warning",
    EventKind.TIER_QUICK: "info",
    EventKind.UNDECODABLE: "warning",
    EventKind.TOO_LARGE: "info",
    EventKind.UNENCODABLE: "warning",
    EventKind.LOAD_FAILED: "warning",
    EventKind.STALE_SERVED: "info",
    EventKind.DEGRADED: "warning",
    EventKind.INVALIDATED: "debug",
    EventKind.INVALIDATION_PENDING: "warning",
    EventKind.INVALIDATION_LOST: "error",
    EventKind.INVALIDATION_REPLAYED: "info",
    EventKind.BUS_GAP: "warning",
    EventKind.BUS_LOST: "warning",
    EventKind.BUS_BACK: "info",
    EventKind.OUTBOX_LOST: "warning",
    EventKind.OUTBOX_BACK: "info",
    EventKind.OUTBOX_LATE: "warning",
    EventKind.SERVER_CHANGED: "warning",
    EventKind.REFRESH_FAILED: "warning",
    EventKind.FEATURE_MISSING: "warning",
    EventKind.BACKGROUND_FAILED: "error",
    EventKind.RECORDING_ENDED: "warning",
}

_NAMES_OF_KEYS: Final = frozenset({"key", "keys", "pattern", "patterns", "tag", "tags"})
"""Details that are keys, or what keys are called by."""

_Source: TypeAlias = tuple[EventKind, CacheTier | None]


class StructlogRecorder:
    """Logs events under the name "greencache"; a `greencache.events.Recorder`.

    An application that has configured structlog gets them through its own processors. For any other they go
    to the standard library's logging: structlog's own default prints to standard output, which belongs to the
    application, and does so under a lock that a fork can copy while it is held. structlog's configuration is
    read, never changed.

    Args:
        logger: A structlog logger to use instead.
        redact_keys: Show the first 12 hexadecimal digits of the SHA-256 of a key instead of the key. Enough
            to follow a key through a log; no protection for keys that can be guessed.
        level: The least level that is logged: debug, info, warning or error.
        burst: How many events of one kind and tier are logged in one period. The next one after it says how
            many were suppressed.
        period: Seconds.
        clock: Where the time comes from.

    Raises:
        ConfigurationError: If there is no such level, or burst or period are not positive.
    """

    def __init__(
        self,
        logger: Any = None,
        *,
        redact_keys: bool = False,
        level: str = "info",
        burst: int = 10,
        period: Seconds = 1.0,
        clock: Clock | None = None,
    ) -> None:
        if level not in _LEVELS:
            raise ConfigurationError(f"level must be one of {', '.join(_LEVELS)}, got {level!r}")
        if burst < 1 or not period > 0:
            raise ConfigurationError(f"burst and period must be positive, got burst={burst}, period={period}")
        self._logger = logger
        self._fallback = _standard_logger()
        self._redacts_keys = redact_keys
        self._kinds = {
            kind for kind, name in _LEVEL_OF.items() if _LEVELS.index(name) >= _LEVELS.index(level)
        }
        self._limit = _RateLimit(burst, period, clock or SystemClock())
        self.failures = 0
        """How many events could not be logged because the logger raised."""

    def record(self, event: Event) -> None:
        """Log an event, unless it is below the level or one of too many.

        A logger that raises is counted, not heard: a broken log handler must not break the read or the
        invalidation that has something to tell, and there is no log left to tell it to. Only `Exception` is
        held back; a timeout of gevent or the end of the process passes.
        """
        if event.kind not in self._kinds:
            return
        suppressed = self._limit.admit((event.kind, event.tier))
        if suppressed is None:
            return
        try:
            fields = self._fields(event)
            if suppressed:
                fields["suppressed"] = suppressed
            getattr(self._current_logger(), _LEVEL_OF[event.kind])(str(event.kind), **fields)
        except Exception:
            self.failures += 1

    def _current_logger(self) -> Any:
        if self._logger is not None:
            return self._logger
        # Asked each time: applications configure logging after they have imported, even made, their cache.
        return structlog.get_logger("greencache") if structlog.is_configured() else self._fallback

    def _fields(self, event: Event) -> dict[str, Any]:
        fields: dict[str, Any] = {} if event.tier is None else {"tier": str(event.tier)}
        if event.key is not None:
            fields["key"] = _fingerprint(event.key) if self._redacts_keys else event.key
        for name, value in event.detail.items():
            fields[name] = _redacted(name, value, event.key) if self._redacts_keys else value
        return fields


class _RateLimit:
    """Admits a number of events of one source in each period.

    Takes no lock, so that a fork cannot copy a held one: two threads that meet here miscount by one, and the
    log has a line more or less.
    """

    def __init__(self, burst: int, period: Seconds, clock: Clock) -> None:
        self._burst = burst
        self._period = period
        self._clock = clock
        self._windows: dict[_Source, tuple[Seconds, int]] = {}

    def admit(self, source: _Source) -> int | None:
        """Return how many events were suppressed in the period before, or `None` to suppress this one."""
        now = self._clock.now()
        begin, count = self._windows.get(source, (now, 0))
        suppressed = 0
        if now - begin >= self._period:
            begin, count, suppressed = now, 0, max(0, count - self._burst)
        self._windows[source] = (begin, count + 1)
        return suppressed if count < self._burst else None


def _standard_logger() -> Any:
    return structlog.wrap_logger(
        logging.getLogger("greencache"),
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
        processors=[
            structlog.stdlib.filter_by_level,
            # Text in quotes, line breaks escaped: a key cannot forge a line.
            structlog.processors.KeyValueRenderer(key_order=["event", "tier", "key"], drop_missing=True),
        ],
    )


def _fingerprint(key: Key) -> str:
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()[:12]


def _redacted(name: str, value: Any, key: Key | None) -> Any:
    if isinstance(value, str) and name not in _NAMES_OF_KEYS:
        # Messages of errors like to quote the key.
        return value.replace(key, _fingerprint(key)) if key else value
    return _fingerprints(value)


def _fingerprints(value: Any) -> Any:
    """Return a structure with its texts replaced: what is pending for a tier, the keys of a drop."""
    if isinstance(value, str):
        return _fingerprint(value)
    if isinstance(value, Mapping):
        return {name: _fingerprints(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_fingerprints(item) for item in value]
    return value
