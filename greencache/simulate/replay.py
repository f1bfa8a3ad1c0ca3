"""Replays a trace through one policy."""

from array import array
from typing import Any

from greencache.policies import POLICIES, GDSFCache
from greencache.simulate.outcome import Outcome
from greencache.simulate.spool import Progress, Spool, Timed
from greencache.simulate.tally import Tally

__all__ = ["replay"]


def replay(
    spool: Spool, policy: str, size: int, *, by_bytes: bool, advance: Progress = lambda _: None
) -> Outcome:
    """Return how a policy does: every miss is stored, unless its value is larger than the cache.

    Args:
        spool: The trace.
        policy: One of `POLICIES`.
        size: What the cache can hold: bytes or entries.
        by_bytes: Whether the size is bytes.
        advance: Told of the progress.
    """
    weights = spool.sizes if by_bytes else array("q", [1]) * spool.unique
    # A key is its own value. The class itself is measured, as users get it.
    told = {"getcost": spool.costs.__getitem__} if POLICIES[policy] is GDSFCache and spool.costs else {}
    cache: Any = POLICIES[policy](size, getsizeof=weights.__getitem__ if by_bytes else None, **told)
    tally = Tally(spool)
    if spool.has_ttls:
        expiries = array("d", [0.0]) * spool.unique
        for timed in spool.timed_chunks():
            _replay_timed(timed, cache, weights, expiries, tally.misses)
            advance(len(timed.keys))
    else:
        for keys in spool.chunks():
            _replay(keys, cache, weights, tally.misses)
            advance(len(keys))
    return tally.outcome(policy, size)


def _replay(keys: "array[int]", cache: Any, weights: "array[int]", misses: "array[int]") -> None:
    maxsize = cache.maxsize
    has, hit, store = cache.__contains__, cache.__getitem__, cache.__setitem__
    for key in keys:
        if has(key):
            hit(key)
        else:
            misses[key] += 1
            if weights[key] <= maxsize:
                store(key, key)


def _replay_timed(
    timed: Timed, cache: Any, weights: "array[int]", expiries: "array[float]", misses: "array[int]"
) -> None:
    maxsize = cache.maxsize
    has, hit, store = cache.__contains__, cache.__getitem__, cache.__setitem__
    for key, now, ttl in zip(*timed, strict=True):
        if has(key) and now < expiries[key]:
            hit(key)
        else:
            misses[key] += 1
            expiries[key] = now + ttl
            if weights[key] <= maxsize:
                store(key, key)
