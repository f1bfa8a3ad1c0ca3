"""What no policy can exceed."""

import bisect
import heapq
import math
from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from greencache.simulate.column import CHUNK, Column
from greencache.simulate.outcome import Outcome
from greencache.simulate.spool import Progress, Spool
from greencache.simulate.tally import Tally

__all__ = ["NAME", "Future"]

NAME: Final = "optimum"
_STEPS: Final = 64
"""Costs that differ by less than a 64th of an octave, about one percent, count as equal."""


class Future:
    """When each request's key is requested next: what an optimal policy would have to know.

    Args:
        spool: The trace.
        advance: Told of the progress; the requests are gone through once.
    """

    def __init__(self, spool: Spool, *, advance: Progress = lambda _: None) -> None:
        self._spool = spool
        self._next = Column("q")
        self._never = spool.requests
        upcoming = array("q", [self._never]) * spool.unique
        index = spool.requests
        for keys in spool.reversed_chunks():
            following = array("q")
            for key in reversed(keys):
                index -= 1
                following.append(upcoming[key])
                upcoming[key] = index
            following.reverse()
            self._next.write(index, following)
            advance(len(keys))

    def exact(self, size: int, *, advance: Progress = lambda _: None) -> Outcome:
        """Return what is best when all values count alike: the one not needed for longest goes.

        Belady, "A Study of Replacement Algorithms for a Virtual-Storage Computer", IBM Systems Journal 5,
        1966. Every miss is stored.

        Args:
            size: How many entries the cache can hold.
            advance: Told of the progress.
        """
        tally = Tally(self._spool)
        misses, unique = tally.misses, self._spool.unique
        resident: set[int] = set()
        # Of a resident key, only the latest item is later than now; older ones are never the farthest.
        farthest: list[int] = []
        now = 0
        for keys, following in self._chunks():
            for key, upcoming in zip(keys, following, strict=True):
                if key not in resident:
                    misses[key] += 1
                    if len(resident) == size:
                        resident.discard(-heapq.heappop(farthest) % unique)
                    resident.add(key)
                heapq.heappush(farthest, -(upcoming * unique + key))
            now += len(keys)
            if len(farthest) > 2 * len(resident) + CHUNK:
                # Items are negative, so those that are over are the largest. Sorted, a list is a heap.
                farthest.sort()
                del farthest[bisect.bisect_left(farthest, -now * unique) :]
            advance(len(keys))
        return tally.outcome(NAME, size)

    def bounds(self, sizes: Sequence[int], *, advance: Progress = lambda _: None) -> list[Outcome]:
        """Return what cannot be exceeded when values differ in size, where the exact optimum is NP-hard.

        Between two requests for a key, keeping its value takes bytes times requests; all that a cache has to
        give is its size times all requests, which the best intervals use up first: PFOO-L in Berger, Beckmann
        and Harchol-Balter, "Practical Bounds on Optimal Caching with Variable Object Sizes", SIGMETRICS 2018.
        Hits, bytes and costs are each bounded for themselves.

        Args:
            sizes: Bytes that the cache can hold.
            advance: Told of the progress; the requests are gone through once.
        """
        values: list[array[int] | array[float]] = [array("q", [1]) * self._spool.unique]
        values += [self._spool.sizes, self._spool.costs]
        books = [_Intervals(self._spool, worth) for worth in values if worth]
        index = 0
        for keys, following in self._chunks():
            for key, upcoming in zip(keys, following, strict=True):
                if upcoming < self._never:
                    for book in books:
                        book.add(key, upcoming - index)
                index += 1
            advance(len(keys))
        outcomes = []
        for size in sizes:
            hits, in_bytes, *cost = (book.best(size) for book in books)
            outcomes.append(
                Outcome(
                    policy=NAME,
                    size=size,
                    hit_ratio=hits,
                    byte_hit_ratio=in_bytes,
                    cost_saved=cost[0] if cost else None,
                )
            )
        return outcomes

    def close(self) -> None:
        """Remove the temporary file; may be called twice."""
        self._next.close()

    def _chunks(self) -> "Iterator[tuple[array[int], array[int]]]":
        return zip(self._spool.chunks(), self._next.chunks(), strict=True)


class _Intervals:
    """Intervals between requests for a key, by what a hit at their end is worth for the room they take.

    Args:
        spool: The trace.
        worth: What a hit on each key is worth.
    """

    def __init__(self, spool: Spool, worth: "array[int] | array[float]") -> None:
        self._sizes = spool.sizes
        self._worth = worth
        self._requests = spool.requests
        self._total = sum(count * value for count, value in zip(spool.counts, worth, strict=True))
        self._room: defaultdict[int, float] = defaultdict(float)
        self._gain: defaultdict[int, float] = defaultdict(float)

    def add(self, key: int, length: int) -> None:
        """Note an interval."""
        worth = self._worth[key]
        room = self._sizes[key] * length
        if worth > 0:
            step = math.floor(math.log2(max(room, 1) / worth) * _STEPS)
            self._room[step] += room
            self._gain[step] += worth

    def best(self, size: int) -> float:
        """Return which part of everything the best intervals amount to that fit into a cache of a size."""
        left, gained = float(size) * self._requests, 0.0
        for step in sorted(self._room):
            room, gain = self._room[step], self._gain[step]
            if room > left:
                # The best of a step may be better than its average, by the width of the step.
                gained += min(gain, gain * left / room * 2 ** (1 / _STEPS))
                break
            left -= room
            gained += gain
        return gained / self._total if self._total else 0.0
