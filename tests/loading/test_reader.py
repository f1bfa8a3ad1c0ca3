"""How long callers wait: soft and hard time-outs, and patience."""

import threading

import pytest

from greencache import CacheManager
from greencache.errors import LoadTimeoutError
from greencache.events import EventKind
from greencache.options import EntryOptions
from greencache.testing import wait_until
from tests.loading.loaders import HeldLoader, ask, await_joined

AT_ONCE = 0.01
"""Seconds; shorter than any load of these tests."""
LONG = 30.0
STALE = {"ttl": 0.001, "stale_ttl": 3600.0}


@pytest.fixture
def cache():
    """A cache in memory, by the machine's own clock, since futures are waited for by that."""
    with CacheManager() as cache:
        yield cache


def set_stale(cache, *keys, value="old"):
    """Store values that have expired, and may be served when nothing better can be had."""
    for key in keys:
        cache.set(key, value, **STALE)
    wait_until(lambda: not cache.mget(keys), reason="the values have expired", interval=0.001)


@pytest.mark.parametrize("soft_timeout", [0, AT_ONCE])
def test_a_stale_value_is_returned_when_a_load_is_slow(cache, loader, soft_timeout):
    """And the load goes on and is stored; 0 means: always the stale one first."""
    set_stale(cache, "k")
    assert cache.get_or_load("k", loader, soft_timeout=soft_timeout) == "old"
    loader.release()
    wait_until(lambda: cache.get("k") == "new", reason="the load has ended and was stored")
    assert loader.calls == 1
    assert cache.get_stats().loads.stale_served == 1


def test_a_stale_value_of_a_shared_tier_is_returned_when_a_load_is_slow(make_cache, redis_url, loader):
    """It is known a little later than the caller begins to wait, even if the time-out is 0."""
    cache = make_cache({"l3": redis_url}, l1=False)
    set_stale(cache, "a", "b")
    slow = cache._engine.stack.shared[-1]
    look, may_look = slow.get_many, threading.Event()
    slow.get_many = lambda keys: may_look.wait(LONG) and look(keys)
    first = ask(cache.get_or_load, "a", loader, soft_timeout=0)
    await_joined(cache, "a", 1)
    may_look.set()
    assert first.result(10) == "old"
    assert cache.get_or_load("b", loader, soft_timeout=AT_ONCE) == "old"


def test_without_a_stale_value_a_soft_timeout_waits(cache, loader):
    """There is nothing to return sooner."""
    answer = ask(cache.get_or_load, "k", loader, soft_timeout=AT_ONCE)
    loader.await_begun()
    threading.Event().wait(10 * AT_ONCE)
    assert not answer.done()
    loader.release()
    assert answer.result(10) == "new"


def test_a_load_that_is_fast_enough_is_returned(cache):
    """A time-out changes nothing for it."""
    set_stale(cache, "k")
    assert cache.get_or_load("k", lambda: "new", soft_timeout=LONG, hard_timeout=LONG) == "new"
    assert cache.get_or_load_many(["a"], lambda keys: {"a": 1}, hard_timeout=LONG) == {"a": 1}


def test_a_stale_value_that_is_gone_meanwhile_is_not_returned(clock, loader):
    """`stale_ttl` bounds it, whoever waits."""
    with CacheManager(clock=clock) as cache:
        cache.set("k", "old", ttl=10, stale_ttl=100)
        clock.advance(11)
        answer = ask(cache.get_or_load, "k", loader, soft_timeout=0.5)
        loader.await_begun()
        clock.advance(100)
        with pytest.raises(TimeoutError):
            answer.result(1.0)
        loader.release()
        assert answer.result(10) == "new"


def test_a_hard_timeout_raises_and_the_load_is_stored(cache, loader):
    """An error of our tree, that is a `TimeoutError` too."""
    with pytest.raises(LoadTimeoutError, match=r"within 0\.01 s") as caught:
        cache.get_or_load("k", loader, hard_timeout=AT_ONCE)
    assert isinstance(caught.value, TimeoutError)
    loader.release()
    wait_until(lambda: cache.get("k") == "new", reason="the load has ended and was stored")
    assert loader.calls == 1


def test_a_stale_value_goes_before_an_error(cache, loader):
    """With both time-outs the soft one comes first."""
    set_stale(cache, "k")
    options = {"soft_timeout": AT_ONCE, "hard_timeout": 2 * AT_ONCE}
    assert cache.get_or_load("k", loader, **options) == "old"
    with pytest.raises(LoadTimeoutError):
        cache.get_or_load("other", loader, **options)


def test_a_batch_gets_stale_values_or_an_error(cache, loader):
    """Stale ones only if all its keys have one; else the hard time-out speaks."""
    set_stale(cache, "a", "b")
    options = {"soft_timeout": AT_ONCE, "hard_timeout": 10 * AT_ONCE}
    assert cache.get_or_load_many(["a", "b"], loader, **options) == {"a": "old", "b": "old"}
    loader.await_begun()
    with pytest.raises(LoadTimeoutError):
        cache.get_or_load_many(["a", "c"], loader, **options)
    loader.release()
    expected = dict.fromkeys("abc", "new")
    wait_until(lambda: cache.mget(["a", "b", "c"]) == expected, reason="both loads were stored")


def test_each_caller_has_its_own_timeouts(cache, loader):
    """One load; one gets the stale value, one an error, one waits."""
    set_stale(cache, "k")
    patient = ask(cache.get_or_load, "k", loader)
    loader.await_begun()
    assert cache.get_or_load("k", loader, soft_timeout=AT_ONCE) == "old"
    with pytest.raises(LoadTimeoutError):
        cache.get_or_load("k", loader, hard_timeout=AT_ONCE)
    with pytest.raises(LoadTimeoutError):
        cache.get_or_load_many(["k"], loader, hard_timeout=AT_ONCE)
    assert not patient.done()
    loader.release()
    assert patient.result(10) == "new"
    assert loader.calls == 1


def test_a_follower_without_timeouts_waits_for_a_leader_that_gave_up(cache, loader):
    """The load goes on for it."""
    with pytest.raises(LoadTimeoutError):
        cache.get_or_load("k", loader, hard_timeout=AT_ONCE)
    follower = ask(cache.get_or_load, "k", lambda: "own")
    await_joined(cache, "k", 1)
    loader.release()
    assert follower.result(10) == "new"
    assert loader.calls == 1


def test_a_loaders_error_reaches_who_waits_with_a_timeout(cache):
    """Unchanged, though it was raised on another thread."""
    with pytest.raises(LookupError, match="no such factor"):
        cache.get_or_load("k", HeldLoader(LookupError("no such factor"), is_held=False), hard_timeout=LONG)
    timed_out = HeldLoader(TimeoutError("the source's own"), is_held=False)
    with pytest.raises(TimeoutError, match="the source's own"):
        cache.get_or_load("k", timed_out, hard_timeout=LONG)


def test_a_failing_load_with_timeouts_serves_the_stale_value(cache):
    """As without them."""
    set_stale(cache, "k")
    failing = HeldLoader(LookupError(), is_held=False)
    assert cache.get_or_load("k", failing, soft_timeout=LONG, hard_timeout=LONG) == "old"


@pytest.mark.parametrize("options", [{}, {"hard_timeout": LONG}])
def test_a_loader_that_ends_its_thread_ends_the_callers(cache, options):
    """`SystemExit` is not "there are no such keys", whichever thread the loader runs on."""
    ending = HeldLoader(SystemExit(3), is_held=False)
    with pytest.raises(SystemExit):
        cache.get_or_load_many(["a", "b"], ending, **options)
    with pytest.raises(SystemExit):
        cache.get_or_load("a", ending, **options)
    assert ending.calls == 2


def test_who_waits_for_a_loader_that_ends_its_thread_loads_itself(cache):
    """The end of one is no reason to end others."""
    ending = HeldLoader(SystemExit(3))
    leader = ask(cache.get_or_load_many, ["k"], ending, hard_timeout=LONG)
    ending.await_begun()
    follower = ask(cache.get_or_load, "k", lambda: "own", hard_timeout=LONG)
    wait_until(lambda: cache._engine.reader.leader.notes.counters.joined >= 1, reason="one has joined")
    ending.release()
    assert follower.result(10) == "own"
    with pytest.raises(SystemExit):
        leader.result(10)


class Events:
    """A recorder that keeps what it is told."""

    def __init__(self):
        self.kinds = []

    def record(self, event):
        """Keep the kind."""
        self.kinds.append(event.kind)


def test_a_stale_value_served_for_slowness_is_recorded(loader):
    """An operator sees that the source is slow."""
    events = Events()
    with CacheManager(recorder=events) as cache:
        set_stale(cache, "k")
        cache.get_or_load("k", loader, soft_timeout=AT_ONCE)
        assert EventKind.STALE_SERVED in events.kinds
        loader.release()


def test_timeouts_may_be_the_caches_defaults(loader):
    """And a call's go before them."""
    with CacheManager(defaults=EntryOptions(hard_timeout=AT_ONCE)) as cache:
        with pytest.raises(LoadTimeoutError):
            cache.get_or_load("k", loader)
        patient = ask(cache.get_or_load, "k", loader, hard_timeout=LONG)
        await_joined(cache, "k", 1)
        loader.release()
        assert patient.result(10) == "new"
