"""No other process loads while a load takes several leases' time, unless its holder is dead or hangs."""

import time

import pytest

from greencache.testing import wait_until
from tests.faults.loader_client import Caller
from tests.loading.loaders import ask

LEASE = 1.0
"""Seconds; a busy machine may hold a thread up for a good part of it."""
SOON = 10.0


@pytest.fixture(params=["redis", "postgres"])
def shared(request, make_cache):
    """Make caches over one server that is the authority."""
    url = request.getfixturevalue(f"{request.param}_url")
    tier = {"redis": "l3", "postgres": "l4"}[request.param]
    return lambda **options: make_cache({tier: url}, lease_ttl=LEASE, **options)


def outlast(leases, answer):
    """Let so many leases' time pass, and see that an answer does not come meanwhile."""
    end = time.monotonic() + leases * LEASE
    wait_until(
        lambda: answer.done() or time.monotonic() > end,
        reason=f"{leases} leases' time has passed",
        deadline=30,
    )
    assert not answer.done()


def test_nobody_else_loads_while_a_load_takes_several_leases_time(shared, loader):
    """The other process waits, and has the value when it is there."""
    first, second = shared(), shared()
    leading = ask(first.get_or_load, "k", loader)
    loader.await_begun()
    waiting = ask(second.get_or_load, "k", lambda: "never")
    outlast(5, waiting)
    loader.release()
    assert waiting.result(SOON) == leading.result(SOON) == "new"
    assert second.get_stats().loads.loads == 0


@pytest.mark.parametrize(("slow", "part"), [("reserve", 0.8), ("get", 0.4)])
def test_a_lease_that_was_long_in_coming_is_kept_too(shared, loader, slow, part, monkeypatch):
    """It has been running since it was granted, not since the loader was called."""
    first, second = shared(), shared()
    tier = first._engine.stack.shared[-1].tier
    for name in ("reserve_many", "reserve_and_get") if slow == "reserve" else ("get_many",):
        if hasattr(tier, name):
            monkeypatch.setattr(tier, name, slowly(getattr(tier, name), part * LEASE))
    leading = ask(first.get_or_load, "k", loader)
    loader.await_begun()
    waiting = ask(second.get_or_load, "k", lambda: "never")
    outlast(3, waiting)
    loader.release()
    assert waiting.result(SOON) == leading.result(SOON) == "new"


def slowly(call, seconds):
    """Return the same call on a server whose answers are late."""

    def run(*arguments):
        answer = call(*arguments)
        time.sleep(seconds)
        return answer

    return run


def test_a_batch_keeps_the_leases_on_all_its_keys(shared, loader):
    """And on those only that it loads."""
    first, second = shared(), shared()
    ask(first.get_or_load_many, ["a", "b", "c"], loader)
    loader.await_begun()
    waiting = ask(second.get_or_load_many, ["b", "c"], lambda keys: dict.fromkeys(keys, "never"))
    outlast(4, waiting)
    loader.release()
    assert waiting.result(SOON) == {"b": "new", "c": "new"}


def test_what_a_long_load_brings_is_stored(shared, loader):
    """Its lease is good to the end."""
    first, second = shared(), shared()
    leading = ask(first.get_or_load, "k", loader)
    loader.await_begun()
    outlast(4, leading)
    loader.release()
    assert leading.result(SOON) == "new"
    assert second.get("k") == "new"


def test_a_reload_in_the_background_keeps_its_lease_too(shared, clock, loader):
    """And whoever finds the value expired meanwhile waits for it."""
    first, second = shared(clock=clock, l1=False), shared(clock=clock, l1=False)
    options = {"ttl": 10, "refresh_ahead": 0.5}
    first.get_or_load("k", lambda: "old", **options)
    clock.advance(6)
    first.get_or_load("k", loader, **options)
    loader.await_begun()
    clock.advance(6)
    waiting = ask(second.get_or_load, "k", lambda: "never", **options)
    outlast(4, waiting)
    loader.release()
    assert waiting.result(SOON) == "new"


def test_after_patience_a_load_is_taken_for_hung(shared, loader):
    """Its lease ends, whoever asks then loads, and what it brings in the end is refused."""
    first, second = shared(patience=3 * LEASE), shared(patience=60.0)
    leading = ask(first.get_or_load, "k", loader)
    loader.await_begun()
    began = time.monotonic()
    assert ask(second.get_or_load, "k", lambda: "own").result(30) == "own"
    assert time.monotonic() - began > 2 * LEASE
    loader.release()
    assert leading.result(SOON) == "new"
    assert second.get("k") == "own"
    assert shared(l1=False).get("k") == "own"


def test_a_lease_that_a_drop_has_voided_is_not_extended(shared, loader):
    """Nor taken again: whoever asks after the drop loads, and the older load is refused."""
    first, second = shared(), shared()
    leading = ask(first.get_or_load, "k", loader)
    loader.await_begun()
    outlast(2, leading)
    second.invalidate("k")
    held = next(iter(first._engine.reader.leader.keeper._holdings.values())).held[-1][1]
    wait_until(lambda: "k" not in held, reason="the keeper has noticed that the lease is void")
    assert second.get_or_load("k", lambda: "own") == "own"
    loader.release()
    assert leading.result(SOON) == "new"
    assert shared(l1=False).get("k") == "own"


def test_the_lease_of_the_next_one_is_not_extended_for_the_former(shared, loader):
    """A lease is known by its token, not by its key."""
    first, second, third = shared(), shared(), shared()
    ask(first.get_or_load, "k", loader)
    loader.await_begun()
    tier = second._engine.stack.shared[-1]
    tier.drop_many(["k"])
    assert tier.reserve_many(["k"])  # as a process that dies right after
    assert ask(third.get_or_load, "k", lambda: "own").result(SOON) == "own"


def test_a_process_that_is_stopped_loses_its_lease(redis_url, make_cache):
    """It extends nothing; whoever waits takes over, and what it brings later is refused."""
    stopped = Caller({"l3": redis_url}, lease_ttl=LEASE)
    try:
        waiting = Caller({"l3": redis_url}, lease_ttl=LEASE)
        try:
            stopped.call("k", "hang", value="late")
            stopped.await_loading("k")
            waiting.call("k", value="own")
            waiting.await_asking("k", 1)
            stopped.pause()
            assert waiting.await_answers("k", 1)[0].value == "own"
            stopped.resume()
            stopped.release()
            assert stopped.await_answers("k", 1)[0].value == "late"
            assert waiting.read("k") == "own"
        finally:
            waiting.kill()
    finally:
        stopped.kill()


def test_a_load_that_is_over_soon_costs_no_extension(shared):
    """Two changes of a dict."""
    cache = shared()
    tier = cache._engine.stack.shared[-1]
    asked = []
    extend = tier.extend_many
    tier.extend_many = lambda leases: asked.append(leases) or extend(leases)
    for number in range(20):
        cache.get_or_load(f"k{number}", lambda: 1)
    assert not asked


def test_a_cache_that_is_closed_extends_nothing(make_cache, redis_url, loader):
    """Else it would go on using connections that were given back."""
    cache = make_cache({"l3": redis_url}, lease_ttl=LEASE)
    ask(cache.get_or_load, "k", loader)
    loader.await_begun()
    keeper = cache._engine.reader.leader.keeper
    wait_until(lambda: keeper._is_running, reason="the keeper runs")
    cache.close()
    wait_until(lambda: not keeper._is_running, reason="the keeper has ended")
