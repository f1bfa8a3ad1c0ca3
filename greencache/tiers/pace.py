"""How quick the looks at a tier are: one that is slow in front of a quicker one is passed by.

As resilience4j's circuit breaker does with slow calls: not only what fails is left alone, also what answers
late. But a slow tier is well. It is told all drops and writes as ever, so it can be read again at any moment,
and it is only passed by where another tier, behind it, has the same and is quicker.
"""

import collections
import dataclasses
import math
import statistics
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from greencache.backends.breaker import Breaker
from greencache.clock import Clock
from greencache.errors import ConfigurationError
from greencache.typing import Seconds

__all__ = ["Pace", "Paced", "SlowLooks"]

_AS_MANY_AS = 100
"""How many keys more in a look may take as long again as the first one."""
_PROBE_TIMEOUT: Seconds = 1.0
_LATELY: Seconds = 10.0
"""For so long what a tier took says something of what it would take."""


@dataclasses.dataclass(frozen=True, slots=True)
class SlowLooks:
    """When a tier is slow.

    Args:
        threshold: Seconds; a look for one key that takes longer is slow, one for 101 keys may take twice as
            long. `None` if none is.
        rate: So great a part of the last looks must be slow.
        window: How many looks these are.

    Raises:
        ConfigurationError: If one of them cannot be.
    """

    threshold: Seconds | None = 0.1
    rate: float = 0.5
    window: int = 10

    def __post_init__(self) -> None:
        if self.threshold is not None and not (math.isfinite(self.threshold) and self.threshold > 0):
            raise ConfigurationError(f"expected a threshold in seconds above 0, got {self.threshold!r}")
        if not 0 < self.rate <= 1:
            raise ConfigurationError(f"expected a rate above 0 and up to 1, got {self.rate!r}")
        if self.window < 1:
            raise ConfigurationError(f"expected a window of 1 or more looks, got {self.window!r}")


@runtime_checkable
class Paced(Protocol):
    """A tier that says when it is slow."""

    @property
    def slow_looks(self) -> SlowLooks:
        """When it is."""
        ...


class Pace:
    """Notes how long looks take, and says whether the next one may be made.

    Args:
        slow: When a look is slow, and the tier.
        clock: Tells the time.
        on_change: Is told whether the tier is quick, and why.
    """

    def __init__(self, slow: SlowLooks, clock: Clock, on_change: Callable[[bool, str], None]) -> None:
        self._slow = slow
        self._limit = math.inf if slow.threshold is None else slow.threshold
        self._clock = clock
        self._looks: collections.deque[Seconds] = collections.deque(maxlen=slow.window)
        self._last: Seconds = -math.inf
        self._breaker = Breaker(1, probe_timeout=_PROBE_TIMEOUT, clock=clock, on_change=on_change)

    @property
    def is_slow(self) -> bool:
        """Whether it was slow, and no look has shown since that it is not."""
        return self._breaker.is_open

    @property
    def reason(self) -> str:
        """Why it counts as slow; empty if it does not."""
        return self._breaker.reason

    @property
    def typical(self) -> Seconds:
        """What half of the last looks have taken at most."""
        return statistics.median(self._looks.copy() or (0.0,))

    @property
    def is_current(self) -> bool:
        """Whether there was a look of late."""
        return self._clock.now() - self._last < _LATELY

    def allow(self) -> bool:
        """Return whether a slow tier may be looked at: now and then one caller finds out how it is."""
        return self._breaker.allow()

    def is_behind(self, other: "Pace") -> bool:
        """Return whether it takes longer than another one; so it does if that one was not asked of late."""
        return self.typical > (other.typical if other.is_current else 0.0)

    def note(self, took: Seconds, keys: int) -> None:
        """Note a look that was answered.

        Args:
            took: Seconds.
            keys: For how many keys.
        """
        pace = took / (1 + (keys - 1) / _AS_MANY_AS)
        self._looks.append(pace)
        self._last = self._clock.now()
        if pace <= self._limit:
            if self._breaker.is_open:
                self._recover()
        elif self._breaker.is_open or self._is_mostly_slow():
            self._breaker.record_failure(self._describe())

    def note_failure(self) -> None:
        """Note a look that came to nothing: the tier is away, which tells nothing of its pace."""
        self._breaker.release()

    def _recover(self) -> None:
        self._breaker.record_success()
        if not self._breaker.is_open:
            # What it was is over: as many looks as at the beginning must show that it is slow again.
            self._looks.clear()

    def _is_mostly_slow(self) -> bool:
        slow = self._slow
        return len(self._looks) == slow.window and self._count_slow() >= slow.rate * slow.window

    def _count_slow(self) -> int:
        return sum(pace > self._limit for pace in self._looks.copy())

    def _describe(self) -> str:
        looks = self._looks.copy()
        return (
            f"{self._count_slow()} of the last {len(looks)} looks took more than {1_000 * self._limit:g} ms,"
            f" half of them {1_000 * statistics.median(looks):.0f} ms and more"
        )
