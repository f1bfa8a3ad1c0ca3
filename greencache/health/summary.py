"""The history of many processes in a few lines: what their checks have found in each stretch of time."""

import dataclasses
import statistics
from collections.abc import Iterable, Mapping, Sequence

from greencache.health.samples import HealthSample
from greencache.tiers.base import Status
from greencache.typing import Seconds

__all__ = ["Period", "summarize"]

_WORST_FIRST = (Status.DOWN, Status.DEGRADED, Status.UP)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """What was found of a tier in a stretch of time; what nobody was told is `None`.

    Args:
        start: When it began, in seconds since 1970-01-01 UTC.
        processes: How many processes have checked.
        checks: How often, all together.
        failed: How many of these found the tier not up.
        status: The worst that was found.
        latency_ms: Milliseconds for one round trip, the median.
        max_latency_ms: The longest.
        hit_rate: Part of all lookups at the server that found something, the median.
        evicted_keys: How many keys the server evicted, as far as a single process has seen it.
        used_memory: Bytes in use at last.
        max_memory: Bytes that it may use; 0 for no limit.
        connected_clients: How many there were at last.
        error: Why it was not up, the last time it was not.
    """

    start: Seconds
    processes: int
    checks: int
    failed: int
    status: Status
    latency_ms: float | None
    max_latency_ms: float | None
    hit_rate: float | None
    evicted_keys: int | None
    used_memory: int | None
    max_memory: int | None
    connected_clients: int | None
    error: str


def summarize(history: Mapping[str, Sequence[HealthSample]], step: Seconds) -> list[Period]:
    """Return what processes have found of a tier, for each stretch of time in which one has checked.

    Args:
        history: Samples by process.
        step: Seconds of a stretch.
    """
    stretches: dict[Seconds, dict[str, list[HealthSample]]] = {}
    for process, samples in history.items():
        for sample in samples:
            start = sample.at // step * step
            stretches.setdefault(start, {}).setdefault(process, []).append(sample)
    return [_period(start, stretches[start]) for start in sorted(stretches)]


def _period(start: Seconds, found: Mapping[str, Sequence[HealthSample]]) -> Period:
    samples = sorted((each for samples in found.values() for each in samples), key=lambda each: each.at)
    latencies = [each.latency_ms for each in samples if each.latency_ms is not None]
    rates = [each.hit_rate for each in samples if each.hit_rate is not None]
    # Each process sees all that the server does: to add up what several have seen would count it twice.
    evicted = [sum(each.evicted_keys or 0 for each in own) for own in found.values()]
    return Period(
        start=start,
        processes=len(found),
        checks=len(samples),
        failed=sum(each.status is not Status.UP for each in samples),
        status=min((each.status for each in samples), key=_WORST_FIRST.index),
        latency_ms=statistics.median(latencies) if latencies else None,
        max_latency_ms=max(latencies, default=None),
        hit_rate=statistics.median(rates) if rates else None,
        evicted_keys=max(evicted) if any(each.evicted_keys is not None for each in samples) else None,
        used_memory=_last(each.used_memory for each in samples),
        max_memory=_last(each.max_memory for each in samples),
        connected_clients=_last(each.connected_clients for each in samples),
        error=next((each.error for each in reversed(samples) if each.error), ""),
    )


def _last(numbers: Iterable[int | None]) -> int | None:
    return next((number for number in reversed([*numbers]) if number is not None), None)
