"""Leases last as long as the load that they are for, and not longer than patience."""

import itertools
import os
import threading
import time
import warnings

import pytest

from greencache.loading import keeper as keeper_module
from greencache.loading.keeper import LeaseKeeper
from greencache.testing import wait_until
from tests.faults.loader_client import Caller
from tests.loading.loaders import HeldLoader, ask

LEASE = 0.5
"""Seconds; a busy machine may hold a thread up for a good part of it."""
SOON = 10.0


class Tier:
    """A tier that remembers what it was asked to extend.

    Args:
        lease_ttl: Seconds that a lease lasts.
        good: The keys whose lease is good; `None` during an outage.
    """

    def __init__(self, lease_ttl=0.06, good=()):
        self.lease_ttl = lease_ttl
        self.good = good
        self.asked = []

    def extend_many(self, leases):
        """Take note, and return the keys whose lease is good."""
        self.asked.append((time.monotonic(), dict(leases)))
        return None if self.good is None else set(self.good)


@pytest.fixture
def keeper():
    """A keeper that is closed when the test ends."""
    keeper = LeaseKeeper(30.0)
    yield keeper
    keeper.close()


@pytest.fixture(params=["redis", "postgres"])
def shared(request, make_cache):
    """Make caches over one server that is the authority."""
    url = request.getfixturevalue(f"{request.param}_url")
    tier = {"redis": "l3", "postgres": "l4"}[request.param]
    return lambda **options: make_cache({tier: url}, lease_ttl=LEASE, **options)


@pytest.fixture
def loader():
    """A loader that is let go at the latest when the test ends."""
    loader = HeldLoader()
    yield loader
    loader.release()


def outlast(leases, answer):
    """Let so many leases' time pass, and see that an answer does not come meanwhile."""
    end = time.monotonic() + leases * LEASE
    wait_until(
        lambda: answer.done() or time.monotonic() > end,
        reason=f"{leases} leases' time has passed",
        deadline=30,
    )
    assert not answer.done()


# -- with servers --------------------------------------------------------------------------------------


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
    held = next(iter(first._engine.reader.leader.keeper._holdings.values()))[1][-1][1]
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


# -- the keeper itself ---------------------------------------------------------------------------------


def test_leases_are_extended_in_time_again_and_again(keeper):
    """Before two thirds of a lease are over, however often."""
    tier = Tier(lease_ttl=0.6, good={"k"})
    began = time.monotonic()
    with keeper.keeping([(tier, {"k": "token"})]):
        wait_until(lambda: len(tier.asked) >= 4, reason="the lease was extended four times")
    moments = [began, *(moment for moment, _ in tier.asked)]
    assert all(leases == {"k": "token"} for _, leases in tier.asked)
    assert max(later - sooner for sooner, later in itertools.pairwise(moments)) < 0.6


def test_a_short_lease_is_extended_though_the_keeper_has_been_idle(keeper):
    """How long it sleeps is decided by what it may have to keep next."""
    patient = Tier(lease_ttl=30.0, good={"k"})
    with keeper.keeping([(patient, {"k": "token"})]):
        wait_until(lambda: keeper._is_running, reason="the keeper sleeps")
        brief = Tier(lease_ttl=0.3, good={"k"})
        began = time.monotonic()
        with keeper.keeping([(brief, {"k": "token"})]):
            wait_until(lambda: brief.asked, reason="the short lease was extended")
    assert brief.asked[0][0] - began < 0.3


def test_a_lease_that_is_not_good_any_more_is_not_asked_for_again(keeper):
    """One of two was dropped."""
    tier = Tier(good={"kept"})
    with keeper.keeping([(tier, {"kept": "1", "dropped": "2"})]):
        wait_until(lambda: len(tier.asked) >= 3, reason="the leases were extended three times")
    assert [set(leases) for _, leases in tier.asked[:3]] == [{"kept", "dropped"}, {"kept"}, {"kept"}]


def test_leases_are_asked_for_again_after_an_outage(keeper):
    """Nobody has said that they are void."""
    tier = Tier(good=None)
    with keeper.keeping([(tier, {"k": "token"})]):
        wait_until(lambda: len(tier.asked) >= 2, reason="the lease was to be extended twice")
        tier.good = {"k"}
        wait_until(lambda: len(tier.asked) >= 4, reason="the lease was extended")
    assert all(leases == {"k": "token"} for _, leases in tier.asked)


def test_a_load_that_hangs_is_not_kept():
    """No longer than the longest load."""
    keeper, tier = LeaseKeeper(0.1), Tier(good={"k"})
    began = time.monotonic()
    with keeper.keeping([(tier, {"k": "token"})]):
        wait_until(lambda: time.monotonic() > began + 0.4, reason="the load has lasted too long")
        assert tier.asked
        assert all(moment < began + 0.2 for moment, _ in tier.asked)
    keeper.close()


def test_the_thread_ends_when_there_is_nothing_to_keep_and_starts_again(keeper, monkeypatch):
    """A process that loads nothing has no thread for it."""
    monkeypatch.setattr(keeper_module, "_IDLE_ROUNDS", 1)
    tier = Tier(good={"k"})
    for count in (1, 2):
        with keeper.keeping([(tier, {"k": "token"})]):
            wait_until(lambda: keeper._is_running, reason="the keeper runs")
            wait_until(lambda count=count: len(tier.asked) >= count, reason="the lease was extended")
        wait_until(lambda: not keeper._is_running, reason="the keeper has ended")
        tier.asked[:] = tier.asked[:count]


def test_nothing_to_keep_starts_no_thread(keeper):
    """As in a cache of memory alone."""
    with keeper.keeping([]):
        assert not keeper._is_running


def test_a_closed_keeper_keeps_nothing():
    """Its thread ends, and none starts."""
    keeper, tier = LeaseKeeper(30.0), Tier(good={"k"})
    with keeper.keeping([(tier, {"k": "token"})]):
        wait_until(lambda: tier.asked, reason="the lease was extended")
        keeper.close()
        wait_until(lambda: not keeper._is_running, reason="the thread has ended")
        count = len(tier.asked)
        with keeper.keeping([(tier, {"k": "token"})]):
            assert not keeper._is_running
    assert len(tier.asked) == count


def test_a_load_goes_on_when_no_thread_is_to_be_had(keeper, monkeypatch):
    """It may then run twice, and that is all; the next one tries again."""

    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    tier = Tier(good={"k"})
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with keeper.keeping([(tier, {"k": "token"})]):
            assert not keeper._is_running
    with keeper.keeping([(tier, {"k": "token"})]):
        wait_until(lambda: tier.asked, reason="the lease was extended")


def test_what_a_tier_raises_does_not_end_the_keeping_of_others(keeper, monkeypatch):
    """An error that nobody has thought of costs one tier's leases, not those of all loads."""
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    broken, sound = Tier(good={"k"}), Tier(good={"k"})

    def fail(leases):
        raise ZeroDivisionError

    broken.extend_many = fail
    with keeper.keeping([(broken, {"k": "1"})]), keeper.keeping([(sound, {"k": "2"})]):
        wait_until(lambda: len(sound.asked) >= 3, reason="the other lease was extended three times")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_keeps_its_own_leases_and_none_of_its_parents(keeper):
    """The thread is the parent's, and so are its loads."""
    ours, theirs = Tier(good={"k"}), Tier(good={"k"})
    with keeper.keeping([(ours, {"k": "token"})]), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        wait_until(lambda: ours.asked, reason="the parent keeps its lease")
        child = os.fork()
        if child == 0:
            code = 1
            try:
                ours.asked.clear()
                with keeper.keeping([(theirs, {"k": "token"})]):
                    wait_until(lambda: len(theirs.asked) >= 3, reason="the child keeps its lease")
                code = 2 if ours.asked else 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        count = len(ours.asked)
        wait_until(lambda: len(ours.asked) > count, reason="the parent goes on")


def test_a_cache_that_is_closed_extends_nothing(make_cache, redis_url, loader):
    """Else it would go on using connections that were given back."""
    cache = make_cache({"l3": redis_url}, lease_ttl=LEASE)
    ask(cache.get_or_load, "k", loader)
    loader.await_begun()
    keeper = cache._engine.reader.leader.keeper
    wait_until(lambda: keeper._is_running, reason="the keeper runs")
    cache.close()
    wait_until(lambda: not keeper._is_running, reason="the keeper has ended")
