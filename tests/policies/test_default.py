"""The default policy: it follows whoever misses least on a sample of its keys."""

import functools
import random

import pytest

from greencache.policies import AdaptiveOrder, DefaultCache, Mark, S3FIFOCache, S3FIFOOrder, adaptive, duel
from greencache.policies.adaptive import WAYS
from tests.policies.conftest import Held


def misses(cache, requests):
    """Return how many requests miss, each miss being stored."""
    count = 0
    for key in requests:
        if key in cache:
            cache[key]
        else:
            count += 1
            cache[key] = key
    return count


def conversations(seed, *, length=40_000):
    """Return requests for keys that come back a few times within a while, and then never again."""
    chance = random.Random(seed)
    requests = []
    for key in range(length // 6):
        moment = 6 * key
        requests.append((moment, key))
        for _ in range(5):
            moment += chance.randrange(200, 800)
            requests.append((moment, key))
    return [key for _, key in sorted(requests)]


def loops(_seed, *, length=40_000):
    """Return requests for slightly more keys than fit, again and again."""
    return [number % 1300 for number in range(length)]


def latecomers(seed, *, length=80_000):
    """Return requests for keys that mostly come once, or else again after more others than fit."""
    chance = random.Random(seed)
    requests = []
    for key in range(length // 2):
        moment = 2 * key
        requests.append((moment, key))
        if key % 4 == 0:
            for _ in range(3):
                moment += chance.randrange(3_000, 4_500)
                requests.append((moment, key))
    return [key for _, key in sorted(requests)][:length]


def requests_of(kind, seed, own_trace):
    """Return requests of one kind."""
    makers = {"conversations": conversations, "loops": loops, "latecomers": latecomers}
    return makers[kind](seed) if kind in makers else own_trace


def only(small, promote_at, ghost):
    """Return a cache class that evicts in one of the default's ways all the time."""

    class OneWay(S3FIFOCache):
        def _new_order(self):
            return S3FIFOOrder(self.maxsize, self._marks, small=small, promote_at=promote_at, ghost=ghost)

    return OneWay


CLOCK, PLAIN, NARROW, LONG = (only(*way) for way in WAYS)


@pytest.mark.parametrize(
    ("kind", "seed"),
    # Two of the kinds are always the same.
    [("own", 0), ("loops", 0), *[(kind, s) for kind in ("conversations", "latecomers") for s in (1, 2, 3)]],
)
def test_it_loses_at_most_a_point_to_the_best_of_its_ways(kind, seed, own_trace):
    """Whatever the requests are like."""
    requests = requests_of(kind, seed, own_trace)
    size = 150 if kind == "own" else 1000
    ours, *others = (misses(policy(size), requests) for policy in (DefaultCache, CLOCK, PLAIN, NARROW, LONG))
    assert ours <= min(others) + 0.01 * len(requests)


def test_these_requests_tell_the_ways_apart():
    """Else the test above would prove nothing: the one is better here, the other there, by far."""
    clock, plain = (misses(policy(1000), conversations(1)) for policy in (CLOCK, PLAIN))
    assert clock < 0.8 * plain
    clock, plain = (misses(policy(1000), loops(1)) for policy in (CLOCK, PLAIN))
    assert plain < 0.8 * clock
    *others, long = (misses(policy(1000), latecomers(1)) for policy in (CLOCK, PLAIN, NARROW, LONG))
    assert long < 0.95 * min(others)


def test_a_loop_larger_than_the_cache_is_not_let_in_by_its_ghosts():
    """Every key comes back while it is remembered: who remembers fewer keeps a part of the loop."""
    requests = [number % 1600 for number in range(40_000)]
    plain, narrow, ours = (misses(policy(1000), requests) for policy in (PLAIN, NARROW, DefaultCache))
    forgetful, remembering = only(0.01, 2, 0.5)(1000), only(0.01, 2, 0.9)(1000)
    assert misses(forgetful, requests) < 0.8 * misses(remembering, requests)
    assert narrow < 0.7 * plain
    assert ours < 1.05 * narrow


@pytest.mark.parametrize(
    ("kind", "size", "ways"),
    [
        ("own", 50, WAYS),
        ("own", 150, WAYS),
        ("own", 400, WAYS),
        ("conversations", 400, WAYS),
        ("loops", 400, WAYS[:3]),
    ],
)
def test_what_contenders_count_leads_to_a_way_within_a_point_of_the_best(
    kind, size, ways, own_trace, monkeypatch
):
    """The ways as they ship: each in turn is the real cache's, and is left for the one that counts least.

    The contender like the real cache counts exactly what that misses. The others are off by what they hear
    late, so one step may lead past the best way; where the steps lead to in the end may lose a point to it,
    which is what the whole policy may. That they lead there at once is not promised.

    In a loop the way with the long memory looks its best while it is not the real one: what the real cache
    keeps, it is never asked for. What that makes of loops is tested by running them, below.
    """
    requests = requests_of(kind, 1, own_trace)
    monkeypatch.setattr(duel, "_MEMORY", 1e15)  # no miss fades
    monkeypatch.setattr(duel, "_LEAD", 1e9)  # no other wins
    monkeypatch.setattr(duel, "_NOISE", 1e9)
    alone = [misses(only(*way)(size), requests) for way in ways]
    better = []
    for first, real in enumerate(alone):
        monkeypatch.setattr(adaptive, "WAYS", ways[first:] + ways[:first])
        cache = DefaultCache(size)
        assert misses(cache, requests) == real
        counted = [round(count) for count in cache._order._duel._misses]
        assert counted[0] == real
        better.append((first + counted.index(min(counted))) % len(ways))
    for way in range(len(ways)):
        for _ in ways:  # so many steps at most until they repeat themselves
            way = better[way]
        assert alone[way] <= min(alone) + 0.01 * len(requests)


@pytest.mark.parametrize(("size", "keys"), [(300, 400), (400, 1300), (1000, 1150), (1000, 1300)])
def test_a_long_loop_loses_at_most_a_point_to_the_best_way(size, keys):
    """Whatever the duel believes of ways that are not the real one."""
    requests = [number % keys for number in range(90_000)]
    # The other two are never the best of a loop.
    ours, *others = (misses(policy(size), requests) for policy in (DefaultCache, NARROW, LONG))
    assert ours <= min(others) + 0.01 * len(requests)


@pytest.mark.parametrize("size", [5, 60, 300, 5000])
def test_the_books_of_the_duel_agree(size, audit, own_trace):
    """The sample, the contenders and the real order know of the same keys."""
    cache = DefaultCache(size)
    chance = random.Random(size)
    for number, key in enumerate(own_trace):
        if key in cache:
            cache[key]
        else:
            cache[key] = key
        if number % 17 == 0:
            cache.pop(chance.choice(own_trace), None)
        if number % 23 == 0:
            cache[key] = -key
        if number % 2000 == 0:
            audit(cache)
    audit(cache)


def test_the_books_agree_by_weight(audit, own_trace):
    """Values of all sizes, some larger than a contender's part of the whole."""
    cache = DefaultCache(100_000, getsizeof=lambda key: key * 37 % 3000)
    for key in own_trace:
        if key not in cache:
            cache[key] = key
    audit(cache)


@pytest.mark.parametrize(
    ("size", "fewest", "most"), [(100, 100, 100), (2000, 200, 512), (40_000, 1000, 1500)]
)
def test_a_duel_costs_little_beside_the_cache(size, fewest, most):
    """All keys of a small cache are watched, some hundred of a larger one, then one in thirty-two."""
    cache = DefaultCache(size)
    misses(cache, range(3 * size))
    contest = cache._order._duel
    assert fewest <= len(contest._contenders[0]) <= most
    assert len(contest._samples) < 5 * most


def test_a_rewritten_key_keeps_its_place_in_the_sample(audit):
    """The contenders go on counting the hits on the new entry."""
    order = Held(functools.partial(AdaptiveOrder, 10))
    first, second = Mark(), Mark()
    order.add("a", first, 1)
    first.marked = 2
    order.add("a", second, 3)
    assert second.marked == 3
    assert order.currsize == 3
    audit(order)
    assert order.evict() == "a"
    audit(order)
