"""Where the time comes from, so that tests can own it."""

import time
from typing import Protocol

from greencache.typing import Seconds

__all__ = ["Clock", "SystemClock"]


class Clock(Protocol):
    """Two readings of time: one that never jumps, and one that other machines share."""

    def now(self) -> Seconds:
        """Return seconds on a clock that only moves forward; its zero means nothing."""
        ...

    def wall(self) -> Seconds:
        """Return seconds since 1970-01-01 UTC; may jump when the machine's clock is set."""
        ...


class SystemClock:
    """The machine's clocks."""

    __slots__ = ()

    # Staticmethods of C functions: a call costs no Python frame.
    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
