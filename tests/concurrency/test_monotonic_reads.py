"""What a process has seen of a key, it does not see an older version of next."""

import pytest

from greencache import MISSING
from greencache.backends.retry import RateLimitedError
from greencache.bus.base import Message, MessageKind
from greencache.entry import Entry
from greencache.testing import wait_until
from greencache.tiers.base import Status

LATE = Message(MessageKind.DROP, keys=("k",))
"""An announcement of what was dropped before; it voids the leases of this host all the same."""


@pytest.fixture
def cache(fleet):
    """A cache with an L1, a host's L2 and an L3."""
    return fleet.cache()


def hear_late(cache):
    """Apply an announcement while a load is under way."""
    cache._engine.receiver.receive(LATE)


def entry(cache, value):
    """Return an entry as another process has loaded it before."""
    now = cache._engine.clock.now()
    return Entry(value, now + 60, created=1.0, stamps=cache._engine.stamps.current())


def test_what_a_host_could_not_store_it_does_not_keep_an_older_version_of(cache):
    """A neighbour has read the older one in L3 before, and has brought it to L2 meanwhile."""
    _, l2, l3 = cache._engine.stack.tiers

    def load():
        hear_late(cache)
        l2.tier.put_many({"k": entry(cache, "old")})
        return "new"

    assert cache.get_or_load("k", load) == "new"
    assert l3.look(["k"])[0]["k"].value == "new"
    assert cache.get("k", MISSING) == "new"


def test_a_neighbour_who_is_still_bringing_the_older_one_up_is_too_late(cache):
    """Its lease was good when the newer one was refused."""
    _, l2, _ = cache._engine.stack.tiers
    leases = {}

    def load():
        hear_late(cache)
        leases.update(l2.tier.reserve_many(["k"]))
        return "new"

    assert cache.get_or_load("k", load) == "new"
    assert l2.tier.fill_many({"k": entry(cache, "old")}, leases) == set()
    assert cache.get("k", MISSING) == "new"


def test_another_thread_does_not_leave_an_older_version_in_l1(cache):
    """It has read L2 before, and was the first to fill."""
    memory = cache._engine.stack.memory

    def load():
        hear_late(cache)
        leases = memory.reserve_many(["k"])
        assert memory.fill_many({"k": entry(cache, "old")}, leases) == {"k"}
        return "new"

    assert cache.get_or_load("k", load) == "new"
    assert cache.get("k", MISSING) == "new"


def test_what_another_thread_has_just_brought_up_stays(fleet):
    """The same version: who comes second leaves it, or readers of one key would keep each other from it."""
    first, second = fleet.cache(), fleet.elsewhere()
    second.set("k", 1)
    engine, number = first._engine, second._engine.bus.publish(Message(MessageKind.LANDED))
    wait_until(lambda: engine.bus.applied() >= number, reason="all that was announced has been heard")
    memory, _, l3 = engine.stack.tiers
    look = l3.tier.get_many

    def overtaken(keys):
        found = look(keys)
        memory.fill_many(found, memory.reserve_many(list(found)))
        return found

    l3.tier.get_many = overtaken
    assert first.get("k") == 1
    assert "k" in memory.index


def test_a_tier_that_has_not_answered_has_refused_nothing(cache):
    """What it holds is as good as it was, and nothing is queued for it."""
    _, l2, _ = cache._engine.stack.tiers

    def refuse(*_):
        raise RateLimitedError("asked often enough for now")

    def load():
        l2.tier.put_many({"k": entry(cache, "there")})
        l2.tier.fill_many = refuse
        return "new"

    assert cache.get_or_load("k", load) == "new"
    assert l2.status is Status.UP
    assert l2.tier.get_many(["k"])["k"].value == "there"
    assert l2.waiting == ()
