"""Waiting for what another process or thread does: a condition, a deadline, a reason."""

import time
from collections.abc import Callable
from typing import TypeVar

from greencache.typing import Seconds

__all__ = ["WaitTimeoutError", "wait_until"]

T = TypeVar("T")


class WaitTimeoutError(AssertionError, TimeoutError):
    """A condition did not come true before its deadline."""


def wait_until(
    condition: Callable[[], T], *, reason: str, deadline: Seconds = 10.0, interval: Seconds = 0.01
) -> T:
    """Ask a condition again and again until it is true.

    Args:
        condition: Takes nothing; what it raises ends the wait.
        reason: What is waited for, for the error: "the replica has caught up".
        deadline: Seconds after which to give up.
        interval: Seconds between two questions.

    Returns:
        The first true answer.

    Raises:
        WaitTimeoutError: The condition was still false at the deadline.
    """
    end = time.monotonic() + deadline
    while True:
        if answer := condition():
            return answer
        if time.monotonic() >= end:
            raise WaitTimeoutError(f"waited {deadline:g} s in vain until {reason}; last answer: {answer!r}")
        time.sleep(interval)
