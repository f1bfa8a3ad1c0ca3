"""How long callers wait: soft and hard time-outs, and patience."""

import threading

import pytest

from greencache import MISSING, CacheManager
from greencache.errors import LoadTimeoutError
from greencache.events import EventKind
from greencache.options import EntryOptions
from greencache.testing import FakeClock, wait_until
from tests.loading.loaders import HeldLoader, ask, await_joined, await_waiting, hear

AT_ONCE = 0.01
"""Seconds; shorter than any load of these tests."""
LONG = 30.0
STALE = {"ttl": 0.001, "stale_ttl": 3600.0}


@pytest.fixture
def cache():
    """A cache in memory, by the machine's own clock, since futures are waited for by that."""
    with CacheManager() as cache:
        yield cache


@pytest.fixture
def loader():
    """A loader that is let go at the latest when the test ends."""
    loader = HeldLoader()
    yield loader
    loader.release()


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


# -- recursion and bounds ------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 2, None])
@pytest.mark.parametrize("options", [{"soft_timeout": LONG}, {"hard_timeout": LONG}])
def test_loads_within_loads_do_not_wait_for_a_thread_that_waits_for_them(limit, options):
    """The outer load holds the only place, and the only thread that it needs itself."""
    with CacheManager(max_concurrent_loads=limit) as cache:

        def load(depth):
            if not depth:
                return 1
            return cache.get_or_load(f"k{depth - 1}", lambda: load(depth - 1), **options) + 1

        assert ask(load, 4).result(10) == 5


def test_many_loads_within_loads_do_not_wait_for_each_others_threads():
    """As many as there may be places, each with one inside."""
    with CacheManager(max_concurrent_loads=8) as cache:
        together = threading.Barrier(8)

        def load(number):
            together.wait(10)
            return cache.get_or_load(f"inner{number}", lambda: number, hard_timeout=LONG)

        answers = [ask(cache.get_or_load, f"k{n}", lambda n=n: load(n), hard_timeout=LONG) for n in range(8)]
        assert [answer.result(10) for answer in answers] == list(range(8))


def test_a_loader_may_ask_for_its_own_key_with_a_timeout(cache):
    """Its own flight is not waited for, on whichever thread."""
    inner = ask(
        cache.get_or_load,
        "k",
        lambda: cache.get_or_load("k", lambda: "inner", hard_timeout=LONG),
        hard_timeout=LONG,
    )
    assert inner.result(10) == "inner"


def test_no_more_loaders_run_at_once_with_timeouts():
    """Those that wait for a place are let in one after the other."""
    with CacheManager(max_concurrent_loads=2) as cache:
        running, most, lock = [0], [0], threading.Lock()

        def load():
            with lock:
                running[0] += 1
                most[0] = max(most[0], running[0])
            threading.Event().wait(0.01)
            with lock:
                running[0] -= 1
            return 1

        answers = [ask(cache.get_or_load, f"k{n}", load, hard_timeout=LONG) for n in range(20)]
        assert [answer.result(30) for answer in answers] == [1] * 20
        assert most[0] == 2


def test_a_loader_that_hangs_does_not_hold_another_key_beyond_patience(loader):
    """Who waits for its place is told so, as without time-outs."""
    with CacheManager(max_concurrent_loads=1, patience=0.2) as cache:
        with pytest.raises(LoadTimeoutError):
            cache.get_or_load("hangs", loader, hard_timeout=AT_ONCE)
        loader.await_begun()
        other = ask(cache.get_or_load, "other", lambda: 1, soft_timeout=AT_ONCE)
        with pytest.raises(LoadTimeoutError, match="max_concurrent_loads"):
            other.result(10)


@pytest.mark.parametrize("options", [{}, {"hard_timeout": LONG}, {"soft_timeout": LONG}])
def test_a_loader_that_hangs_does_not_hold_its_key_beyond_patience(loader, options):
    """Whoever comes later, and has waited so long, loads."""
    with CacheManager(patience=0.2) as cache:
        hung = ask(cache.get_or_load, "k", loader, **options)
        loader.await_begun()
        assert cache.get_or_load("k", lambda: "own", **options) == "own"
        loader.release()
        assert hung.result(10) == "new"


def test_who_cannot_be_kept_to_its_time_is_told_when_no_thread_is_to_be_had(cache, monkeypatch):
    """With a hard time-out; a soft one is then not kept, but the value is loaded."""

    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(LoadTimeoutError, match="a thread to load on"):
        cache.get_or_load("k", lambda: 1, hard_timeout=LONG)
    assert cache.get_or_load("k", lambda: threading.current_thread().name, soft_timeout=LONG) == (
        threading.current_thread().name
    )


def test_timeouts_are_kept_by_the_clock_that_callers_wait_by():
    """A cache whose own clock stands still, as in tests, raises all the same, and loads once."""
    with CacheManager(clock=FakeClock()) as cache:
        loader = HeldLoader()
        with pytest.raises(LoadTimeoutError):
            cache.get_or_load("k", loader, hard_timeout=AT_ONCE)
        with pytest.raises(LoadTimeoutError):
            cache.get_or_load("k", loader, hard_timeout=AT_ONCE)
        loader.release()
        wait_until(lambda: cache.get("k") == "new", reason="the load has ended and was stored")
        assert loader.calls == 1


def test_a_cache_that_is_closed_waits_for_its_loads(loader):
    """They were promised to be stored."""
    cache = CacheManager()
    with pytest.raises(LoadTimeoutError):
        cache.get_or_load("k", loader, hard_timeout=AT_ONCE)
    closing = ask(cache.close)
    loader.release()
    closing.result(10)
    assert not cache._engine.reader.foreground._threads


# -- what was dropped ----------------------------------------------------------------------------------

FORGETTING = {
    "key": lambda cache: cache.invalidate("k"),
    "pattern": lambda cache: cache.invalidate(pattern="k*"),
    "tag": lambda cache: cache.invalidate(tags=["t"]),
    "clear": lambda cache: cache.clear(),
    "set": lambda cache: cache.set("k", "set", ttl=1000),
}


@pytest.mark.parametrize("how", FORGETTING)
@pytest.mark.parametrize("where", ["memory", "here", "elsewhere"])
def test_a_stale_value_that_was_dropped_is_not_served_to_who_asks_later(pair, loader, how, where):
    """Though the load that it was offered for goes on."""
    if where == "memory":
        other = cache = CacheManager()
    else:
        cache, other = pair()
        other = cache if where == "here" else other
    cache.set("k", "old", tags=["t"], **STALE)
    wait_until(lambda: cache.get("k") is None, reason="the value has expired")
    before = ask(cache.get_or_load, "k", loader, tags=["t"], soft_timeout=AT_ONCE)
    assert before.result(10) == "old"
    FORGETTING[how](other)
    if other is not cache:
        hear(cache, other)
    later = ask(cache.get_or_load, "k", lambda: "newer", tags=["t"], soft_timeout=0)
    if where != "memory" and how in {"tag", "clear"}:
        # These touch no key, and so no lease: what the older load brings is waited for, and then absent.
        await_waiting(cache, "k")
        loader.release()
    assert later.result(10) == ("set" if how == "set" else "newer")
    loader.release()
    wait_until(lambda: not loader_runs(cache), reason="the load has ended")
    assert cache.get("k", MISSING) == ("set" if how == "set" else "newer")


def loader_runs(cache):
    """Return whether a load with a time-out is under way."""
    return bool(cache._engine.reader.foreground._begun)


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
