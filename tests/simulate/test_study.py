"""Simulations: the digits, the optimum, and what a trace must tell."""

import itertools
from collections import OrderedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greencache.policies import POLICIES
from greencache.simulate import Request, TraceError, simulate


class Steps:
    """Notes the progress that is told."""

    def __init__(self):
        self.told = {}

    def step(self, name, total=None):
        """Return a context that counts."""
        import contextlib

        @contextlib.contextmanager
        def counting():
            self.told[name] = [total, 0]

            def advance(count):
                self.told[name][1] += count

            yield advance

        return counting()


def lru(requests, size, weigh):
    """Return which requests miss in a plain LRU."""
    held, missed = OrderedDict(), []
    for request in requests:
        if request.key in held:
            held.move_to_end(request.key)
            continue
        missed.append(request)
        if weigh(request) <= size:
            while sum(held.values()) + weigh(request) > size:
                held.popitem(last=False)
            held[request.key] = weigh(request)
    return missed


@pytest.mark.parametrize("by_bytes", [True, False])
def test_ratios_are_those_of_a_plain_lru(requests, by_bytes):
    """Of requests, of bytes, and of costs."""
    requests = [request._replace(ttl=None) for request in requests]
    size = 4000 if by_bytes else 50
    simulation = simulate(requests, policies=["lru"], sizes=[size], by_bytes=by_bytes)
    missed = lru(requests, size, (lambda request: request.size) if by_bytes else lambda _: 1)
    outcome = simulation.outcomes[0]
    assert outcome.hit_ratio == pytest.approx(1 - len(missed) / len(requests))
    total = sum(request.size for request in requests)
    assert outcome.byte_hit_ratio == pytest.approx(1 - sum(request.size for request in missed) / total)
    total = sum(request.cost for request in requests)
    assert outcome.cost_saved == pytest.approx(1 - sum(request.cost for request in missed) / total)


def test_values_expire_in_the_trace_s_own_time():
    """A value lives from its load for its ttl, whatever hits it gets."""
    requests = [Request("a", 1, 10.0, time) for time in (0.0, 5.0, 9.9, 10.0, 19.0, 20.5)]
    found = simulate(requests, policies=list(POLICIES), sizes=[5])
    assert [outcome.hit_ratio for outcome in found.outcomes] == [0.5] * len(POLICIES)
    assert found.trace.has_ttls
    assert not found.is_exact


def test_a_ttl_of_the_user_overrules_the_trace():
    """For all values."""
    requests = [Request("a", 1, 10.0, float(time)) for time in range(10)]
    assert simulate(requests, policies=["lru"], sizes=[5], ttl=2.0).outcomes[0].hit_ratio == 0.5


def test_a_rate_stands_in_for_times():
    """Ten requests a second, and a ttl of half a second: every fifth is a load."""
    requests = [Request("a")] * 20
    found = simulate(requests, policies=["lru"], sizes=[5], ttl=0.5, rate=10.0)
    assert found.outcomes[0].hit_ratio == pytest.approx(0.8)


@pytest.mark.parametrize(("told", "given"), [(5.0, None), (None, 5.0), (60.0, 5.0)])
def test_without_times_and_without_a_rate_one_request_comes_a_second(told, given):
    """A ttl, of the trace or of the user, has an effect all the same; and that it was guessed is told."""
    found = simulate([Request("a", 1, told)] * 20, policies=["lru"], sizes=[5], ttl=given)
    assert found.outcomes[0].hit_ratio == pytest.approx(0.8)
    assert found.trace.has_guessed_times


@pytest.mark.parametrize(
    ("request_", "options"),
    [
        (Request("a", 1), {}),
        (Request("a", 1, 5.0), {"rate": 1.0}),
        (Request("a", 1, 5.0, time=0.0), {}),
    ],
)
def test_no_times_are_guessed_where_they_are_told_or_make_no_difference(request_, options):
    """Without a ttl, nobody asks when a request came."""
    assert not simulate([request_] * 4, policies=["lru"], sizes=[5], **options).trace.has_guessed_times


def test_a_request_without_a_time_comes_with_the_one_before():
    """Where others have one: a gap in a trace does not move what follows."""
    times = [None, 0.0, 3.0, None, 4.0, None, 6.0]
    requests = [Request("a", 1, 5.0, time) for time in times]
    found = simulate(requests, policies=["lru"], sizes=[5])
    assert found.outcomes[0].hit_ratio == pytest.approx(5 / 7)
    assert not found.trace.has_guessed_times


def test_gdsf_is_told_what_loads_cost():
    """As in L1: what takes long to load outlives what does not, although that is asked for as often."""
    dear = [Request("dear", 1, cost=1.0)]
    cheap = [Request(f"cheap{number}", 1, cost=0.001) for number in range(5)]
    found = simulate((dear + cheap) * 20, policies=["gdsf", "lru"], sizes=[2])
    gdsf, lru = found.outcomes
    assert lru.cost_saved == 0.0
    assert gdsf.cost_saved > 0.9


@pytest.mark.parametrize(
    ("requests", "options", "reason"),
    [
        ([], {}, "no requests"),
        ([Request("a")], {"sizes": [100], "by_bytes": True}, "no sizes"),
    ],
)
def test_what_a_trace_does_not_tell_is_asked_for(requests, options, reason):
    """Instead of an answer that means nothing."""
    with pytest.raises(TraceError, match=reason):
        simulate(requests, **options)


@pytest.mark.parametrize("size", [10**20, "many"])
def test_a_size_that_is_none_is_refused(size):
    """Also where a trace that was not read from CSV has it."""
    with pytest.raises(TraceError, match="size"):
        simulate([Request("a", size)])


def test_without_sizes_parts_of_everything_are_tried(requests):
    """From one percent to a half."""
    found = simulate(requests, policies=["lru"])
    assert found.by_bytes
    assert found.sizes == [round(part * found.trace.footprint) for part in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)]
    assert simulate([Request("a"), Request("b")], policies=["lru"]).sizes == [1]


def test_progress_is_told_to_the_last_request(requests):
    """Every step that says how long it is goes through all of it."""
    steps = Steps()
    simulate(requests, policies=["lru", "sieve"], sizes=[1000, 2000], display=steps)
    assert steps.told.pop("Reading") == [None, 3000]
    assert set(steps.told) == {"lru", "sieve", "optimum"}
    assert all(total == done for total, done in steps.told.values())


def best_hits(keys, size):
    """Return the most hits possible when every miss is stored, by trying every victim."""
    reachable = {frozenset(): 0}
    for key in keys:
        following = {}
        for held, hits in reachable.items():
            if key in held:
                options = [(held, hits + 1)]
            elif len(held) < size:
                options = [(held | {key}, hits)]
            else:
                options = [(held - {victim} | {key}, hits) for victim in held]
            for state, count in options:
                following[state] = max(count, following.get(state, 0))
        reachable = following
    return max(reachable.values())


@given(keys=st.lists(st.integers(0, 6), min_size=1, max_size=25), size=st.integers(1, 4))
@settings(max_examples=150, deadline=None)
def test_the_optimum_by_count_is_exact(keys, size):
    """No sequence of victims does better, and one does as well."""
    found = simulate([Request(str(key)) for key in keys], policies=["lru"], sizes=[size])
    assert found.is_exact
    assert found.optimum[0].hit_ratio == pytest.approx(best_hits(keys, size) / len(keys))


def most_saved(requests, size, worth):
    """Return the most that hits can be worth, by trying every set of keys to keep after each request."""
    reachable = {frozenset(): 0.0}
    weights = {request.key: request.size for request in requests}
    for request in requests:
        following = {}
        for held, saved in reachable.items():
            gained = saved + (worth(request) if request.key in held else 0)
            candidates = [*held, request.key] if request.key not in held else list(held)
            for count in range(len(candidates) + 1):
                for kept in itertools.combinations(candidates, count):
                    if sum(weights[key] for key in kept) <= size:
                        state = frozenset(kept)
                        following[state] = max(gained, following.get(state, -1.0))
        reachable = following
    return max(reachable.values())


@given(keys=st.lists(st.integers(0, 4), min_size=1, max_size=12), size=st.integers(1, 12))
@settings(max_examples=80, deadline=None)
def test_nothing_exceeds_the_bound_by_bytes(keys, size):
    """Not even who knows the future and need not store what it misses."""
    requests = [Request(str(key), size=1 + 2 * key) for key in keys]
    bound = simulate(requests, policies=["lru"], sizes=[size]).optimum[0]
    hits = most_saved(requests, size, lambda _: 1)
    in_bytes = most_saved(requests, size, lambda request: request.size)
    assert bound.hit_ratio >= hits / len(requests) - 1e-9
    assert bound.byte_hit_ratio >= in_bytes / sum(request.size for request in requests) - 1e-9


def test_no_policy_exceeds_the_optimum(requests):
    """By count and by bytes, at any size."""
    for by_bytes in (True, False):
        found = simulate([request._replace(ttl=None) for request in requests], by_bytes=by_bytes)
        best = {outcome.size: outcome for outcome in found.optimum}
        for outcome in found.outcomes:
            assert outcome.hit_ratio <= best[outcome.size].hit_ratio + 1e-9
