"""When a materialized view is refreshed."""

import dataclasses
import datetime as dt
import math
import zoneinfo
from collections.abc import Sequence

import cronsim

from greencache.errors import ConfigurationError
from greencache.options import check_duration
from greencache.typing import Seconds

__all__ = ["RefreshPolicy", "ViewRecord"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ViewRecord:
    """What the database knows of a view's refreshes, by its own clock.

    Args:
        last: When the last refresh began, exactly as the database says it; `None` if there was none.
        began: The same in seconds since 1970-01-01 UTC.
        now: The database's time in seconds since 1970-01-01 UTC.
        wished: Seconds since a source has changed that no refresh has seen; `None` if none has.
        retry_in: Seconds for which no process is to try again.
        failures: How many attempts have failed since the last one that did not.
    """

    last: str | None = None
    began: Seconds | None = None
    now: Seconds
    wished: Seconds | None = None
    retry_in: Seconds = 0.0
    failures: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RefreshPolicy:
    """When a view is refreshed by itself: whichever of its rules comes first.

    Args:
        every: Seconds from the beginning of one refresh to that of the next.
        cron: A cron expression of five fields, such as `0 3 * * *`, in the meaning of Debian's cron.
        timezone: The IANA name of the time zone that `cron` is in.
        on: Tables, and other views of the cache; when a change of one of them commits, whoever made it, the
            view is refreshed soon.
        delay: Seconds from a change to the refresh, so that one covers what changes meanwhile.
        timeout: Seconds that a refresh takes at most.
        lock_timeout: Seconds that it waits for somebody who blocks the view.

    Raises:
        ConfigurationError: If a rule makes no sense, or there is none.
    """

    every: Seconds | None = None
    cron: str | None = None
    timezone: str = "UTC"
    on: Sequence[str] = ()
    delay: Seconds = 0.0
    timeout: Seconds = 60.0
    lock_timeout: Seconds = 2.0

    def __post_init__(self) -> None:
        if isinstance(self.on, str):
            raise ConfigurationError(f"expected on as a sequence of tables, got the text {self.on!r}")
        if self.every is None and self.cron is None and not self.on:
            raise ConfigurationError(
                "expected every, cron or on, got none: for a view that is refreshed by hand give no policy"
            )
        for name in ("every", "delay", "timeout", "lock_timeout"):
            seconds = getattr(self, name)
            if seconds is not None and not (check_duration(name, seconds) > 0 or name == "delay"):
                raise ConfigurationError(f"expected {name} to be positive, got {seconds!r}")
        if self.cron is not None:
            self._next_tick(0.0)

    def seconds_until_due(self, record: ViewRecord) -> Seconds:
        """Return how long to wait; 0 if it is due, infinity if only a change can make it so."""
        waits = [] if record.wished is None else [self.delay - record.wished]
        if record.began is None:
            # Whatever has changed before, nobody knows of.
            waits.append(0.0)
        else:
            if self.every is not None:
                waits.append(record.began + self.every - record.now)
            if self.cron is not None:
                waits.append(self._next_tick(record.began) - record.now)
        return max(0.0, record.retry_in, min(waits, default=math.inf))

    def _next_tick(self, after: Seconds) -> Seconds:
        """Return the first moment after another at which the cron expression rings."""
        try:
            if len((self.cron or "").split()) != 5:  # noqa: PLR2004
                raise cronsim.CronSimError
            zone = dt.UTC if self.timezone == "UTC" else zoneinfo.ZoneInfo(self.timezone)
            ticks = cronsim.CronSim(self.cron or "", dt.datetime.fromtimestamp(after, zone))
            return next(ticks).timestamp()
        except (cronsim.CronSimError, StopIteration, TypeError, AttributeError):
            raise ConfigurationError(
                f"expected cron as five fields such as '0 3 * * *' that come true some day, got {self.cron!r}"
            ) from None
        except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
            raise ConfigurationError(
                f"expected timezone as an IANA name such as Europe/Vienna, got {self.timezone!r}"
            ) from None
