"""A trace as numbers in temporary files: read once, replayed often, in bounded memory."""

import itertools
import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from greencache.simulate.column import CHUNK, Column
from greencache.simulate.trace import Request, TraceError
from greencache.typing import Seconds

__all__ = ["Progress", "Spool", "Timed"]

Progress = Callable[[int], None]
"""Told how many further requests were worked on."""


class Timed(NamedTuple):
    """Some requests in a row: the numbers of their keys, when each came, and how long its value was fresh."""

    keys: "array[int]"
    times: "array[float]"
    ttls: "array[float]"


class Spool:
    """The requests of a trace, with numbers for keys.

    Each key has one size and one cost: a size is the first that the trace tells, or one byte; a cost is the
    average of those that the trace tells for the key, or else for all keys.

    Args:
        requests: The trace; read once.
        ttl: Seconds for all requests, instead of those of the trace.
        rate: Requests a second, where the trace has no times; one without it.
        advance: Told of the progress.

    Raises:
        TraceError: If there are no requests.
    """

    def __init__(
        self,
        requests: Iterable[Request],
        *,
        ttl: Seconds | None = None,
        rate: float | None = None,
        advance: Progress = lambda _: None,
    ) -> None:
        self._ttl = ttl
        self._rate = rate
        self._keys = Column("i")
        self._times, self._ttls = Column("d"), Column("d")
        self.sizes: array[int] = array("q")
        """Bytes of each key's value."""
        self.costs: array[float] = array("d")
        """Seconds that loading each key takes; empty when the trace tells no costs."""
        self.counts: array[int] = array("q")
        """How often each key is requested."""
        self.has_sizes = False
        self.has_ttls = ttl is not None
        """Whether values expire."""
        self.has_guessed_times = False
        """Whether they do so in a time that nobody told."""
        self._moment: Seconds | None = None
        """The last that the trace told."""
        try:
            self._take(requests, advance)
        except BaseException:
            self.close()
            raise
        self.unique = len(self.sizes)
        self.requests = sum(self.counts)
        self.footprint = sum(self.sizes)

    def chunks(self) -> "Iterator[array[int]]":
        """Return the numbers of the keys requested, in order."""
        return self._keys.chunks()

    def reversed_chunks(self) -> "Iterator[array[int]]":
        """Return the chunks in the opposite order, each with its requests in order."""
        return self._keys.reversed_chunks()

    def timed_chunks(self) -> Iterator[Timed]:
        """Return all requests with their times, in order."""
        columns = (self._keys.chunks(), self._times.chunks(), self._ttls.chunks())
        return itertools.starmap(Timed, zip(*columns, strict=True))

    def close(self) -> None:
        """Remove the temporary files; may be called twice."""
        for column in (self._keys, self._times, self._ttls):
            column.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _take(self, requests: Iterable[Request], advance: Progress) -> None:
        numbers: dict[str, int] = {}
        costs = _Costs()
        remaining = iter(requests)
        start = 0
        while batch := list(itertools.islice(remaining, CHUNK)):
            # Columns, for most of what follows is then one loop in C each.
            keys, sizes, ttls, times, cost = zip(*batch, strict=True)
            numbered = array("i", [numbers.setdefault(key, len(numbers)) for key in keys])
            self._count(numbered, len(numbers))
            self._measure(numbered, sizes)
            costs.add(numbered, cost)
            self._keys.write(start, numbered)
            self._times.write(start, self._moments(start, times))
            self._ttls.write(start, self._periods(ttls))
            start += len(batch)
            advance(len(batch))
        if not start:
            raise TraceError("the trace has no requests")
        self.has_guessed_times = self.has_ttls and self._moment is None and self._rate is None
        self.has_sizes = any(size >= 0 for size in self.sizes)
        self.sizes = array("q", (1 if size < 0 else size for size in self.sizes))
        self.costs = costs.by_key(len(self.sizes))

    def _count(self, numbered: "array[int]", keys: int) -> None:
        counts = self.counts
        counts.extend([0] * (keys - len(counts)))
        for number in numbered:
            counts[number] += 1

    def _measure(self, numbered: "array[int]", told: Sequence[int | None]) -> None:
        sizes = self.sizes
        sizes.extend([-1] * (len(self.counts) - len(sizes)))
        try:
            for number, size in zip(numbered, told, strict=True):
                if size is not None and sizes[number] < 0:
                    sizes[number] = size
        except (OverflowError, TypeError) as error:
            raise TraceError(f"expected bytes as the size of each value, got {size!r}: {error}") from None

    def _moments(self, start: int, times: Sequence[Seconds | None]) -> "array[float]":
        if None not in times:
            self._moment = times[-1]
            return array("d", times)  # type: ignore[arg-type]
        told = next((time for time in times if time is not None), self._moment)
        if told is None:
            step = 1 / (self._rate or 1.0)
            return array("d", [index * step for index in range(start, start + len(times))])
        moments = array("d")
        self._moment = told if self._moment is None else self._moment
        for time in times:
            self._moment = self._moment if time is None else time
            moments.append(self._moment)
        return moments

    def _periods(self, ttls: Sequence[Seconds | None]) -> "array[float]":
        if self._ttl is not None:
            return array("d", [self._ttl]) * len(ttls)
        if any(ttl is not None for ttl in ttls):
            self.has_ttls = True
        return array("d", [math.inf if ttl is None else ttl for ttl in ttls])


class _Costs:
    """Average costs of keys."""

    def __init__(self) -> None:
        self._sums: dict[int, tuple[Seconds, int]] = {}

    def add(self, numbered: "array[int]", told: Sequence[Seconds | None]) -> None:
        """Note what some requests tell."""
        for number, cost in zip(numbered, told, strict=True):
            if cost is not None:
                total, count = self._sums.get(number, (0.0, 0))
                self._sums[number] = (total + cost, count + 1)

    def by_key(self, keys: int) -> "array[float]":
        """Return the average of each key, that of all where a key has none; nothing if there are no costs."""
        if not self._sums:
            return array("d")
        count = sum(count for _, count in self._sums.values())
        average = sum(total for total, _ in self._sums.values()) / count
        known = {number: total / count for number, (total, count) in self._sums.items()}
        return array("d", (known.get(number, average) for number in range(keys)))
