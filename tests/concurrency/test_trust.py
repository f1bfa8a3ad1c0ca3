"""What a look finds is believed only if it was proved before the look."""

import math

import pytest

from greencache import MISSING, cached


class Mending:
    """Renews the bus's trust while a look is under way, as a listener does that has mended a gap.

    Args:
        cache: Whose listener has been stopped; its trust has lapsed.
    """

    def __init__(self, cache):
        self._memory = cache._engine.stack.memory
        self._bus = cache._engine.bus
        self._bus.close()
        self._bus.trusted_until = -math.inf

    def during(self, look):
        """Return a look that is overtaken by the mending."""

        def overtaken(*arguments):
            found = look(*arguments)
            if self._memory is not None:
                self._memory.clear()
            self._bus.trusted_until = math.inf
            return found

        return overtaken


class Overtaken(dict):
    """An index of L1 that is looked at by a function."""

    def __init__(self, look):
        super().__init__()
        self.look = look

    def __getitem__(self, key):
        return self.look(key)


def test_a_hit_of_a_decorated_function_is_not_proved_by_what_came_after_it(fleet):
    """The same of the function that is compiled for its parameters."""
    cache, other = fleet.cache(), fleet.elsewhere()
    index = cache._index
    cache._index = Overtaken(index.__getitem__)
    versions = iter(["old", "new"])

    @cached(cache_manager=cache, key="k", ttl=None)
    def version():
        return next(versions)

    assert version() == "old"
    assert version() == "old"
    mending = Mending(cache)
    other.invalidate("k")
    cache._engine.stack.shared[0].tier.drop_many(["k"])
    cache._index.look = mending.during(index.__getitem__)
    assert version() == "new"


@pytest.mark.parametrize("read", ["get", "mget"])
def test_a_look_into_l1_is_not_proved_by_what_came_after_it(fleet, read):
    """The gap was mended, and L1 cleared, after the entry was found and before it was judged."""
    cache, other = fleet.cache(), fleet.elsewhere()
    cache.set("k", "old", ttl=None)
    mending = Mending(cache)
    other.invalidate("k")
    cache._engine.stack.shared[0].tier.drop_many(["k"])
    cache._index = Overtaken(mending.during(cache._index.__getitem__))
    memory = cache._engine.stack.memory
    memory.get_many = mending.during(memory.get_many)
    found = cache.get("k", MISSING) if read == "get" else cache.mget(["k"]).get("k", MISSING)
    assert found is MISSING


def test_a_look_into_the_hosts_own_tier_is_not_proved_by_what_came_after_it(fleet):
    """The same in L2."""
    cache, other = fleet.cache(l1=None), fleet.elsewhere()
    cache.set("k", "old", ttl=None)
    mending = Mending(cache)
    other.invalidate("k")
    l2 = cache._engine.stack.shared[0].tier
    l2.get_many = mending.during(l2.get_many)
    assert cache.get("k", MISSING) is MISSING
