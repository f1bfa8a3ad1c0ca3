"""The processes of the coherence benchmark: one that invalidates, and those that read meanwhile."""

import ctypes
import random
import time
from typing import Any, Final, NamedTuple

from benchmarks.adapters.base import TAG, Sharing
from benchmarks.processes import LONGEST_WAIT, BenchmarkError
from greencache.testing import wait_until
from greencache.typing import Seconds

__all__ = ["OLD", "Invalidation", "Plan", "Sight", "invalidate_in_all_rounds", "watch_all_rounds"]

OLD: Final = b"old"

_HEAD_START: Final[tuple[Seconds, Seconds]] = (0.005, 0.015)
"""How long readers read before the invalidation, at random: it must not keep step with them."""

_FURTHER_READS: Final = 20
"""How many reads after the first that finds the value gone: it must not come back."""


class Plan(NamedTuple):
    """What is to be measured."""

    contender: type[Sharing]
    url: str
    way: str
    """By what is invalidated: "key" or "tag"."""
    rounds: int
    pause: Seconds
    """How long a reader sleeps between two reads."""


class Invalidation(NamedTuple):
    """One call; times in seconds of the machine's monotonic clock."""

    called_at: Seconds
    returned_at: Seconds


class Sight(NamedTuple):
    """What one reader saw of one invalidation."""

    gone_at: Seconds
    """When the first read ended that did not find the old value."""
    stale_reads: int
    """Reads that found it although they began after the invalidation had returned."""
    read_rate: float
    """Reads in a second while it was there."""


def invalidate_in_all_rounds(
    plan: Plan, together: Any, acknowledged: "ctypes.c_longlong"
) -> list[Invalidation]:
    """Be the process that invalidates.

    Args:
        plan: What is to be measured.
        together: The barrier of all processes.
        acknowledged: Number of the last round whose invalidation has returned; all processes see it.
    """
    cache = plan.contender(plan.url)
    calls = []
    # One round more, which is not counted: it makes the connections.
    for number in range(plan.rounds + 1):
        key = f"{plan.way}-{number}"
        cache.store(key, OLD)
        together.wait(LONGEST_WAIT)  # it is stored
        together.wait(LONGEST_WAIT)  # all readers have it
        time.sleep(random.uniform(*_HEAD_START))
        called_at = time.monotonic()
        if plan.way == "tag":
            cache.invalidate_tag(TAG)
        else:
            cache.invalidate_key(key)
        calls.append(Invalidation(called_at, time.monotonic()))
        acknowledged.value = number
        together.wait(LONGEST_WAIT)  # all readers have seen it go
    cache.close()
    return calls[1:]


def watch_all_rounds(plan: Plan, together: Any, acknowledged: "ctypes.c_longlong") -> list[Sight]:
    """Be one of the processes that read; arguments as of `invalidate_in_all_rounds`."""
    cache = plan.contender(plan.url)
    sights = []
    for number in range(plan.rounds + 1):
        key = f"{plan.way}-{number}"
        together.wait(LONGEST_WAIT)
        _warm(cache, key)
        together.wait(LONGEST_WAIT)
        sights.append(_watch(cache, key, plan.pause, number, acknowledged))
        together.wait(LONGEST_WAIT)
    cache.close()
    return sights[1:]


def _warm(cache: Sharing, key: str) -> None:
    wait_until(lambda: cache.get(key) == OLD, reason="the stored value is read", deadline=LONGEST_WAIT)


def _watch(cache: Sharing, key: str, pause: Seconds, number: int, acknowledged: "ctypes.c_longlong") -> Sight:
    began_at = now = time.monotonic()
    gone_at, reads, stale_reads, further_reads = 0.0, 0, 0, 0
    while now < began_at + LONGEST_WAIT:
        is_acknowledged = acknowledged.value == number
        is_old = cache.get(key) == OLD
        now = time.monotonic()
        if is_old:
            reads += not gone_at
            stale_reads += is_acknowledged
        elif not gone_at:
            gone_at = now
        elif is_acknowledged:
            further_reads += 1
            if further_reads == _FURTHER_READS:
                return Sight(gone_at, stale_reads, reads / (gone_at - began_at))
        if pause:
            time.sleep(pause)
    raise BenchmarkError(
        f"the old value of {key!r} was still served {LONGEST_WAIT:g} s after it was invalidated"
    )
