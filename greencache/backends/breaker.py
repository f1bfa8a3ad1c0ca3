"""A circuit breaker: after some failures in a row, or some time, nobody waits for a dead server any more.

Closed, every call passes. Open, none does, until its wait is over; then one caller passes as a probe while
the others are still turned away (half-open), and what the probe finds decides. M. Nygard, Release It!, 2007.
"""

import collections
import enum
import math
import threading
from collections.abc import Callable
from typing import NamedTuple

from greencache.clock import Clock, SystemClock
from greencache.errors import ConfigurationError
from greencache.forks import after_fork_in_child
from greencache.typing import Seconds

__all__ = ["Breaker", "BreakerState", "OnChange"]

OnChange = Callable[[bool, str], None]
"""Is told whether the server is up, and why."""


class BreakerState(enum.StrEnum):
    """What the breaker does with a call."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class _Status(NamedTuple):
    """All that the breaker knows, replaced as a whole: neither readers nor forks see half a change."""

    state: BreakerState
    failures: int = 0
    spent: Seconds = 0.0
    wait: Seconds = 0.0
    due: Seconds = 0.0
    prober: int = 0
    reason: str = ""


_SOUND = _Status(BreakerState.CLOSED)


class Breaker:
    """Counts failures in a row and says whether a call may pass; safe to share between threads.

    Args:
        failures: How many in a row open it.
        patience: Seconds that such failures may take together: beyond these, fewer of them open it. One call
            to a server that hangs can cost its whole time-out, and nobody is to pay that several times.
        reset_after: Seconds from opening to the first probe; doubled by each probe that fails.
        max_reset_after: Seconds between two probes at most.
        probe_timeout: Seconds after which a probe that has reported nothing is replaced by another.
        clock: Tells the time.
        on_change: Is told when it opens and when it closes again, in that order, outside of all locks.
    """

    def __init__(
        self,
        failures: int = 5,
        *,
        patience: Seconds = 2.0,
        reset_after: Seconds = 1.0,
        max_reset_after: Seconds = 5.0,
        probe_timeout: Seconds = 10.0,
        clock: Clock | None = None,
        on_change: OnChange | None = None,
    ) -> None:
        if failures < 1:
            raise ConfigurationError(f"expected failures of 1 or more, got {failures!r}")
        times = {"patience": patience, "reset_after": reset_after, "probe_timeout": probe_timeout}
        for name, value in times.items():
            if not (math.isfinite(value) and value > 0):
                raise ConfigurationError(f"expected {name} as a positive number of seconds, got {value!r}")
        self._threshold = failures
        self._patience = patience
        self._reset_after = reset_after
        self._max_reset_after = max(reset_after, max_reset_after)
        self._probe_timeout = probe_timeout
        self._clock = clock or SystemClock()
        self._listeners: tuple[OnChange, ...] = (on_change,) if on_change else ()
        self._status = _SOUND
        self._forget()
        after_fork_in_child(self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._reporting = threading.Lock()
        self._changes: collections.deque[tuple[bool, str]] = collections.deque()
        # A probe of the parent will never report to its child.
        if self._status.state is BreakerState.HALF_OPEN:
            self._status = self._status._replace(state=BreakerState.OPEN, due=self._clock.now())

    def __repr__(self) -> str:
        return f"Breaker({self._status.state}, failures={self._status.failures})"

    @property
    def state(self) -> BreakerState:
        """What it does with calls; an open one turns half-open only when the next call asks."""
        return self._status.state

    @property
    def is_open(self) -> bool:
        """Whether calls are turned away, all or all but a probe."""
        return self._status.state is not BreakerState.CLOSED

    @property
    def reason(self) -> str:
        """The last failure since it was closed; empty while there was none."""
        return self._status.reason

    @property
    def is_sound(self) -> bool:
        """Whether the last call got its answer, or there was none."""
        return self._status is _SOUND or not self._status.reason

    @property
    def next_probe_in(self) -> Seconds:
        """Seconds until a call may pass."""
        return max(0.0, self._status.due - self._clock.now()) if self.is_open else 0.0

    def subscribe(self, on_change: OnChange) -> None:
        """Tell one more callable of changes."""
        with self._lock:
            self._listeners += (on_change,)

    def allow(self) -> bool:
        """Return whether the caller may go on; if so, it reports success, failure, or neither (`release`)."""
        # The status is one reference, and this very tuple means sound: no lock on the way of every call.
        if self._status is _SOUND:
            return True
        with self._lock:
            status = self._status
            if status.state is BreakerState.CLOSED:
                return True
            now = self._clock.now()
            if now < status.due:
                return False
            # Also when half-open: a prober that was killed or hangs is replaced and its report ignored.
            self._status = status._replace(
                state=BreakerState.HALF_OPEN, due=now + self._probe_timeout, prober=threading.get_ident()
            )
            return True

    def record_success(self) -> None:
        """Report that an allowed call got its answer."""
        if self._status is _SOUND:
            return
        with self._lock:
            status = self._status
            if status.state is BreakerState.CLOSED:
                self._status = _SOUND
            elif self._is_mine(status):
                self._status = _SOUND
                self._changes.append((True, "a probe was answered"))
        self._report()

    def record_failure(self, reason: str = "", spent: Seconds = 0.0) -> None:
        """Report that an allowed call failed, why, and after how many seconds."""
        with self._lock:
            status = self._status
            if status.state is BreakerState.CLOSED:
                failures, total = status.failures + 1, status.spent + spent
                self._status = status._replace(failures=failures, spent=total, reason=reason)
                if failures >= self._threshold or total >= self._patience:
                    self._open(failures, self._reset_after, reason)
                    self._changes.append((False, reason))
            elif self._is_mine(status):
                self._open(status.failures + 1, min(2 * status.wait, self._max_reset_after), reason)
        self._report()

    def release(self) -> None:
        """Report that an allowed call came to nothing: killed, or given up before it reached the server."""
        if self._status is _SOUND:
            return
        with self._lock:
            if self._is_mine(self._status):
                self._status = self._status._replace(state=BreakerState.OPEN, due=self._clock.now())

    def sibling(self) -> "Breaker":
        """Return a closed one of the same settings, which tells the same callables."""
        breaker = Breaker(
            self._threshold,
            patience=self._patience,
            reset_after=self._reset_after,
            max_reset_after=self._max_reset_after,
            probe_timeout=self._probe_timeout,
            clock=self._clock,
        )
        breaker._listeners = self._listeners
        return breaker

    def hasten(self) -> None:
        """Let the next call pass as a probe: there is another server now."""
        with self._lock:
            if self._status.state is not BreakerState.CLOSED:
                self._status = self._status._replace(
                    state=BreakerState.OPEN, wait=self._reset_after, due=self._clock.now()
                )

    def _open(self, failures: int, wait: Seconds, reason: str) -> None:
        due = self._clock.now() + wait
        self._status = _Status(BreakerState.OPEN, failures, wait=wait, due=due, reason=reason)

    @staticmethod
    def _is_mine(status: _Status) -> bool:
        # Calls that were allowed before it opened may report now; only the probe's answer counts.
        return status.state is BreakerState.HALF_OPEN and status.prober == threading.get_ident()

    def _report(self) -> None:
        # Whoever reports, reports all, so the order holds. A change that comes while another thread is
        # about to leave is not lost: its own thread looks again after that one has let go.
        while self._changes and self._reporting.acquire(blocking=False):
            try:
                while self._changes:
                    self._tell(*self._changes.popleft())
            finally:
                self._reporting.release()

    def _tell(self, is_up: bool, reason: str) -> None:
        for listener in self._listeners:
            listener(is_up, reason)
