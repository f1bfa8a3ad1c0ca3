"""A clock that moves only when a test moves it."""

import math
import threading

from greencache.typing import Seconds

__all__ = ["FakeClock"]


class FakeClock:
    """A `greencache.clock.Clock` owned by a test; safe to share between threads.

    Args:
        now: First reading of the monotonic clock, in seconds.
        wall: First reading of the wall clock, in seconds since 1970-01-01 UTC.
    """

    def __init__(self, now: Seconds = 1_000.0, wall: Seconds = 1_700_000_000.0) -> None:
        self._lock = threading.Lock()
        self._now = now
        self._wall = wall

    def __repr__(self) -> str:
        return f"FakeClock(now={self._now!r}, wall={self._wall!r})"

    def now(self) -> Seconds:
        """Return seconds on the clock that never goes back."""
        return self._now

    def wall(self) -> Seconds:
        """Return seconds since 1970-01-01 UTC."""
        return self._wall

    def advance(self, seconds: Seconds) -> None:
        """Let time pass on both clocks.

        Args:
            seconds: How much; zero or more.

        Raises:
            ValueError: For a negative or non-finite amount: `now` may never go back.
        """
        if not (math.isfinite(seconds) and seconds >= 0):
            raise ValueError(
                f"expected zero or more seconds to advance, got {seconds!r}; jump_wall() can go back"
            )
        with self._lock:
            self._now += seconds
            self._wall += seconds

    def jump_wall(self, seconds: Seconds) -> None:
        """Set the wall clock forward or back, as an administrator or NTP does; `now` does not notice.

        Args:
            seconds: How far; negative is back.

        Raises:
            ValueError: For a non-finite amount.
        """
        if not math.isfinite(seconds):
            raise ValueError(f"expected a finite number of seconds to jump, got {seconds!r}")
        with self._lock:
            self._wall += seconds
