"""Reloads ahead of expiry: decided by one reader, once, and not if another process was faster."""

import pytest

from greencache import MISSING, CacheManager
from greencache.errors import InvalidOptionError
from greencache.options import EntryOptions
from greencache.testing import wait_until
from tests.loading.loaders import HeldLoader, hear

NEVER, SURELY = 0.0, 1 - 2**-53
"""Draws of readers that do not reload before the end, and of those that reload as soon as it is due."""


def draws(cache, *values):
    """Let the readers of a cache draw these numbers one after the other, and the last one from then on."""
    left = list(values)
    cache._engine.reader.leader._draw = lambda: left.pop(0) if len(left) > 1 else left[0]


def settle(cache):
    """Wait until nothing runs in the background."""
    background = cache._engine.reader.background
    wait_until(lambda: not background._unfinished, reason="nothing runs in the background")


def loads(cache, clock, value, seconds, **options):
    """Load a value that takes so many seconds."""
    return cache.get_or_load("k", lambda: clock.advance(seconds) or value, **options)


@pytest.fixture
def cache(clock):
    """A cache in memory."""
    with CacheManager(clock=clock) as cache:
        yield cache


def test_the_cost_of_a_load_is_measured(cache, clock):
    """It says how far ahead readers throw their dice."""
    loads(cache, clock, "v", 2.5, ttl=1000, beta=1)
    entry = cache._engine.peek("k")
    assert entry.cost == 2.5
    assert entry.due_at == pytest.approx(entry.fresh_until - 37 * 2.5)


def test_each_reader_decides_for_itself(cache, clock):
    """By its own draw; who draws little leaves it to the others."""
    loads(cache, clock, "old", 2, ttl=1000, beta=1)
    clock.advance(990)
    reload = HeldLoader("new", is_held=False)
    draws(cache, NEVER, 0.5, 0.99, 0.999, NEVER)
    for expected in (0, 0, 0, 1, 1):
        assert cache.get_or_load("k", reload, ttl=1000, beta=1) in {"old", "new"}
        settle(cache)
        assert reload.calls == expected
    assert cache.get("k") == "new"


def test_a_reader_that_has_decided_reloads(cache, clock):
    """The dice are thrown once: a second throw would make early reloads as rare as the square of it."""
    loads(cache, clock, "old", 2, ttl=1000, beta=1)
    clock.advance(990)
    draws(cache, SURELY, NEVER)
    assert cache.get_or_load("k", lambda: "new", ttl=1000, beta=1) == "old"
    settle(cache)
    assert cache.get("k") == "new"


def test_a_reader_that_has_decided_reloads_from_shared_tiers_too(pair, clock):
    """Where the value at the elector is the one that it has seen."""
    cache, other = pair(clock=clock, l1=False, bus=False)
    loads(cache, clock, "old", 2, ttl=1000, beta=1)
    clock.advance(990)
    draws(other, SURELY, NEVER)
    assert other.get_or_load("k", lambda: "new", ttl=1000, beta=1) == "old"
    settle(other)
    assert cache.get("k") == "new"


@pytest.mark.parametrize("options", [{"beta": 1}, {"refresh_ahead": 0.5}], ids=["beta", "threshold"])
def test_what_another_process_has_just_reloaded_is_taken(pair, clock, options):
    """What L1 has is old, but not what the elector has: the loader is not called."""
    cache, other = pair(clock=clock)
    loads(cache, clock, "old", 2, ttl=55, **options)
    assert other.get("k") == "old"
    clock.advance(50)
    for each in (cache, other):
        # By the clock of the test, nothing was heard for long.
        wait_until(lambda each=each: each._engine.stack.is_heard, reason="the bus is heard again")
    draws(cache, SURELY)
    draws(other, SURELY, NEVER)
    loader = HeldLoader("again", is_held=False)
    assert cache.get_or_load("k", lambda: "new", ttl=1000, **options) == "old"
    settle(cache)
    assert other.get_or_load("k", loader, ttl=1000, **options) == "old"
    settle(other)
    assert loader.calls == 0
    assert other.get("k") == "new"
    assert other.get_stats().loads.loads == 0


def test_a_reload_that_another_process_has_just_failed_is_put_off_here_too(pair, clock):
    """`retry_after` counts for all: the value at the elector is the same, but not due any more."""
    options = {"ttl": 55, "refresh_ahead": 0.5, "retry_after": 20}
    cache, other = pair(clock=clock)
    cache.get_or_load("k", lambda: "old", **options)
    assert other.get("k") == "old"
    clock.advance(30)
    for each in (cache, other):
        wait_until(lambda each=each: each._engine.stack.is_heard, reason="the bus is heard again")
    assert cache.get_or_load("k", HeldLoader(LookupError(), is_held=False), **options) == "old"
    settle(cache)
    loader = HeldLoader("again", is_held=False)
    assert other.get_or_load("k", loader, **options) == "old"
    settle(other)
    assert loader.calls == 0


def test_many_hits_reload_once(cache, clock):
    """While a reload is under way nobody begins another."""
    loads(cache, clock, "old", 2, ttl=1000, beta=1)
    clock.advance(999)
    draws(cache, SURELY)
    reload = HeldLoader("new")
    for _ in range(20):
        assert cache.get_or_load("k", reload, ttl=1000, beta=1) == "old"
    reload.await_begun()
    reload.release()
    settle(cache)
    assert reload.calls == 1


def test_a_reload_in_one_process_keeps_others_from_reloading(pair, clock):
    """Its lease elects."""
    cache, other = pair(clock=clock, bus=False, l1=False)
    loads(cache, clock, "old", 2, ttl=1000, beta=1)
    clock.advance(999)
    draws(cache, SURELY)
    draws(other, SURELY)
    ours, theirs = HeldLoader("new"), HeldLoader("again", is_held=False)
    assert cache.get_or_load("k", ours, ttl=1000, beta=1) == "old"
    ours.await_begun()
    assert other.get_or_load("k", theirs, ttl=1000, beta=1) == "old"
    settle(other)
    ours.release()
    settle(cache)
    assert theirs.calls == 0
    assert other.get("k") == "new"


@pytest.mark.parametrize("where", ["memory", "here", "elsewhere"])
def test_a_value_dropped_during_its_reload_is_not_stored(pair, clock, where):
    """The reload began before."""
    cache, other = (CacheManager(clock=clock),) * 2 if where == "memory" else pair(clock=clock)
    other = cache if where != "elsewhere" else other
    options = {"ttl": 50, "refresh_ahead": 0.5}
    cache.get_or_load("k", lambda: "old", **options)
    clock.advance(30)
    reload = HeldLoader("outdated")
    assert cache.get_or_load("k", reload, **options) == "old"
    reload.await_begun()
    other.invalidate("k")
    if other is not cache:
        hear(cache, other)
    reload.release()
    settle(cache)
    assert cache.get("k", MISSING) is MISSING
    assert other.get("k", MISSING) is MISSING


def test_a_reload_shows_the_value_to_its_loader(cache, clock):
    """So that it can be confirmed, although it has not expired."""
    from greencache import NOT_MODIFIED, current_load

    options = {"ttl": 50, "refresh_ahead": 0.5}
    cache.get_or_load("k", lambda: "old", **options)
    clock.advance(30)
    shown = []
    cache.get_or_load("k", lambda: shown.append(dict(current_load().stale)) or NOT_MODIFIED, **options)
    settle(cache)
    assert shown == [{"k": "old"}]
    clock.advance(40)
    assert cache.get("k") == "old"


def test_a_value_that_expires_is_reloaded_once_whatever_was_drawn(cache, clock):
    """XFetch only comes before the end."""
    loads(cache, clock, "old", 2, ttl=100, beta=1)
    draws(cache, NEVER)
    clock.advance(100)
    assert cache.get_or_load("k", lambda: "new", ttl=100, beta=1) == "new"


def test_a_reader_without_options_reloads_what_is_due_by_a_threshold(cache, clock):
    """The threshold is the entry's; the dice are the reader's."""
    cache.get_or_load("k", lambda: "old", ttl=100, refresh_ahead=0.5)
    clock.advance(60)
    cache.get_or_load("k", lambda: "new")
    settle(cache)
    assert cache.get("k") == "new"


def test_both_ways_at_once_are_refused(cache):
    """In a call; the cache's defaults give way to it."""
    with pytest.raises(InvalidOptionError, match="not both"):
        cache.get_or_load("k", lambda: 1, refresh_ahead=0.5, beta=1)
    for defaults, given in [({"beta": 1}, {"refresh_ahead": 0.5}), ({"refresh_ahead": 0.5}, {"beta": 1})]:
        with CacheManager(defaults=EntryOptions(**defaults)) as with_defaults:
            assert with_defaults.get_or_load("k", lambda: 1, **given) == 1
