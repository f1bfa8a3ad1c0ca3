"""A value that was dropped is not served, shown or stored again, wherever a call was when it went."""

import math
import threading

import pytest

from greencache import NOT_MODIFIED, CacheManager, WriteThrough, current_load
from greencache.bus.base import Message, MessageKind, NullBus
from greencache.clock import SystemClock
from greencache.testing import DoubleRedisTier, FakeClock, RedisDouble, wait_until
from greencache.tiers.memory import MemoryTier


class StartingBus(NullBus):
    """Lets something happen once between a look at L1 and the flight that follows."""

    __slots__ = ("on_start",)

    def __init__(self):
        super().__init__()
        self.on_start = None

    def start(self, handler, host=None):
        """Call what is to happen now."""
        call, self.on_start = self.on_start, None
        if call is not None:
            call(handler)


class HookedTier(DoubleRedisTier):
    """Lets something happen once after a look."""

    after_look = None

    def get_many(self, keys):
        """Look, and call what is to happen then."""
        found = super().get_many(keys)
        call, self.after_look = self.after_look, None
        if call is not None:
            call()
        return found


def fail():
    """Be a source that is down."""
    raise OSError("the source is down")


def over(server, clock, tier=None, **options):
    """Return a cache of L1 and a shared tier."""
    shared = tier or DoubleRedisTier(server, clock=clock)
    return CacheManager([MemoryTier(clock=clock), shared], clock=clock, **options)


def test_what_l1_held_is_not_handed_to_who_asks_after_the_drop():
    """The drop falls between the look at L1 and the flight; a later caller joins that flight."""
    bus, clock, answers = StartingBus(), FakeClock(), {}
    cache = CacheManager(bus=bus, clock=clock)
    cache.set("k", "old", ttl=1, stale_ttl=600)
    clock.advance(2)
    is_loading, may_fail = threading.Event(), threading.Event()

    def load():
        is_loading.set()
        assert may_fail.wait(20)
        fail()

    def ask(name, loader):
        try:
            answers[name] = cache.get_or_load("k", loader, ttl=60, stale_ttl=600)
        except OSError:
            answers[name] = "no answer"

    bus.on_start = lambda _: cache.invalidate("k")
    first = threading.Thread(target=ask, args=("first", load))
    first.start()
    assert is_loading.wait(20)
    second = threading.Thread(target=ask, args=("second", lambda: "new"))
    second.start()
    wait_until(lambda: cache.get_stats().loads.joined == 1, reason="the second caller waits for the first")
    may_fail.set()
    first.join(20)
    second.join(20)
    assert answers == {"first": "no answer", "second": "no answer"}


def test_what_could_not_be_believed_is_not_believed_because_the_bus_is_back():
    """It was dropped elsewhere while nobody heard; the bus is heard again between two steps of the call."""
    bus, clock, server = StartingBus(), SystemClock(), RedisDouble()
    cache, other = over(server, clock, bus=bus), over(server, clock, bus=NullBus())
    cache.set("k", "old", ttl=600)
    bus.trusted_until = -math.inf
    other.delete("k")

    def rejoin(handler):
        handler(Message(MessageKind.JOINED))
        bus.trusted_until = math.inf

    bus.on_start = rejoin
    with pytest.raises(OSError, match="down"):
        cache.get_or_load("k", fail)


def test_without_a_bus_a_copy_in_l1_is_not_served_when_loading_fails():
    """Somebody else may have dropped it; nobody would have told."""
    clock, server = FakeClock(), RedisDouble()
    tiers = [MemoryTier(ttl=0.5, clock=clock), DoubleRedisTier(server, clock=clock)]
    cache = CacheManager(tiers, clock=clock)
    other = over(server, clock)
    cache.get_or_load("k", lambda: "old", ttl=600)
    other.invalidate("k")
    clock.advance(1)
    with pytest.raises(OSError, match="down"):
        cache.get_or_load("k", fail, ttl=600)


def test_what_is_written_through_is_outdated_by_an_invalidation_during_the_write():
    """Its stamps are as old as its value."""
    cache = CacheManager(strategy=WriteThrough())
    cache.write("k", "old", lambda _: cache.invalidate(tags=["t"]), tags=["t"])
    assert cache.get("k") is None


def test_a_loader_is_not_shown_what_was_dropped_before_it_began():
    """The drop falls between the look and the lease; confirmed, it would be stored as fresh."""
    clock, server = FakeClock(), RedisDouble()
    tier = HookedTier(server, clock=clock)
    cache, other = over(server, clock, tier), over(server, clock)
    cache.set("k", "wrong", ttl=1, stale_ttl=1000)
    clock.advance(2)
    tier.after_look = lambda: other.delete("k")
    answer = cache.get_or_load("k", lambda: NOT_MODIFIED if current_load().stale else "right", ttl=1000)
    assert answer == "right"
    assert other.get("k") == "right"


def test_of_two_stale_values_the_newer_one_is_served():
    """However near the older one is."""
    clock, server = FakeClock(), RedisDouble()
    cache, other = over(server, clock, bus=NullBus()), over(server, clock, bus=NullBus())
    options = {"ttl": 10, "stale_ttl": 10_000}
    cache.get_or_load("k", lambda: "first", **options)
    clock.advance(3600)
    other.get_or_load("k", lambda: "second", **options)
    clock.advance(11)
    assert cache.get_or_load("k", fail, **options) == "second"
