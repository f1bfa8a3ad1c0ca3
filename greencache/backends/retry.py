"""Who tries again: the one door to tenacity, entered only with a failure on record.

tenacity costs 9 to 22 microseconds on every call that succeeds. So the first attempt runs bare, and its
failure, if any, is then replayed to tenacity as its first attempt: the same attempts and sleeps as
decorating the call, free of charge for all that succeed at once.
"""

import dataclasses
import math
import time
from collections.abc import Callable
from typing import TypeVar

import tenacity

from greencache.clock import Clock
from greencache.errors import ConfigurationError, TierUnavailableError
from greencache.typing import Seconds

__all__ = [
    "MovingSlotError",
    "RateLimitedError",
    "RefusedError",
    "RetryPolicy",
    "Sleep",
    "TransientError",
    "retry_after",
]

T = TypeVar("T")
Sleep = Callable[[Seconds], None]


class TransientError(TierUnavailableError):
    """A server did not answer, and may do so in a moment.

    Args:
        message: Who, and what happened.
        may_have_run: Whether the server may have executed the command nevertheless.
    """

    def __init__(self, message: str, *, may_have_run: bool) -> None:
        super().__init__(message)
        self.may_have_run = may_have_run


class MovingSlotError(TransientError):
    """A slot of a Cluster is being moved, and some keys of a command are there already, some are not."""


class RefusedError(TierUnavailableError):
    """Refused though the server is not down: no memory left, a replica, no permission, no connection free."""

    is_outage = False


class RateLimitedError(RefusedError):
    """Not sent: this process has asked often enough for now."""


@dataclasses.dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and after which waits, a call is tried again.

    Args:
        retries: Attempts after the first one; 0 for none.
        base: Seconds before the first retry.
        factor: By what each wait is longer than the one before.
        max_wait: Longest wait, in seconds.
        full_jitter: Whether to wait a random part of it ("Exponential Backoff And Jitter", AWS, 2015), so
            that many processes do not return in step.
    """

    retries: int = 3
    base: Seconds = 0.1
    factor: float = 2.0
    max_wait: Seconds = 2.0
    full_jitter: bool = False

    def __post_init__(self) -> None:
        if self.retries < 0:
            raise ConfigurationError(f"expected retries of 0 or more, got {self.retries!r}")
        for name, least in (("base", 0.0), ("factor", 1.0), ("max_wait", 0.0)):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                raise ConfigurationError(f"expected a finite {name} of {least:g} or more, got {value!r}")


def retry_after(
    failure: Exception,
    call: Callable[[], T],
    policy: RetryPolicy,
    *,
    may_retry: Callable[[BaseException], bool],
    clock: Clock,
    give_up_at: Seconds,
    sleep: Sleep | None = None,
) -> T:
    """Call again after a first attempt has failed.

    Args:
        failure: What the first attempt raised.
        call: Makes one attempt.
        policy: How often, and after which waits.
        may_retry: Says of an error whether another attempt may help and do no harm.
        clock: Tells the time that `give_up_at` is a reading of.
        give_up_at: No attempt starts at or after this reading of `clock.now`.
        sleep: Waits; by default `time.sleep` as it is now, so that late monkey patching counts.

    Returns:
        What the first successful attempt returned.

    Raises:
        BaseException: What the last attempt raised, unchanged.
    """
    on_record = [failure]

    def attempt() -> T:
        if on_record:
            raise on_record.pop()
        return call()

    def is_over(state: tenacity.RetryCallState) -> bool:
        return state.attempt_number > policy.retries or clock.now() + state.upcoming_sleep >= give_up_at

    retrying = tenacity.Retrying(
        sleep=sleep or time.sleep,
        stop=is_over,
        wait=_wait(policy),
        retry=tenacity.retry_if_exception(may_retry),
        reraise=True,
    )
    return retrying(attempt)


def _wait(policy: RetryPolicy) -> tenacity.wait.wait_base:
    growing = tenacity.wait_random_exponential if policy.full_jitter else tenacity.wait_exponential
    return growing(multiplier=policy.base, max=policy.max_wait, exp_base=policy.factor)
