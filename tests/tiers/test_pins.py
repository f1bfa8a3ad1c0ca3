"""Entries that stay: pinned, within half of L1."""

import random

import pytest

from greencache import CacheManager, InvalidArgumentError
from greencache.entry import Entry
from greencache.policies import POLICIES
from greencache.stats import TierCounters
from greencache.testing import FakeClock
from greencache.tiers.memory import MemoryTier
from greencache.tiers.memory_entries import MemoryEntries

KB = "x" * 1000


@pytest.fixture
def clock():
    """The cache's clock."""
    return FakeClock()


@pytest.fixture
def cache(clock):
    """A cache with room for about a dozen entries of a kilobyte."""
    return CacheManager([MemoryTier(20_000, ttl=None, clock=clock)], clock=clock)


def flood(cache, count=200):
    """Store many other entries."""
    for number in range(count):
        cache.set(f"other:{number}", KB)


def test_a_pinned_entry_is_not_evicted(cache):
    """However much else is stored, whether it was there first or the pin."""
    cache.set("there", KB)
    assert cache.l1.pin("there") is True
    assert cache.l1.pin("later") is False
    cache.set("later", KB)
    cache.set("plain", KB)
    flood(cache)
    assert cache.get("there") == cache.get("later") == KB
    assert cache.get("plain") is None
    assert cache.l1.pins == {"there": True, "later": True}


def test_what_is_unpinned_is_evicted_as_any_other(cache):
    """And nothing remains of the pin."""
    cache.set("k", KB)
    cache.l1.pin("k")
    assert cache.l1.unpin("k") is True
    assert cache.l1.unpin("k") is False
    flood(cache)
    assert cache.get("k") is None
    assert cache.l1.pins == {}


def test_a_pinned_entry_expires(cache, clock):
    """It stays in L1, not in time."""
    cache.l1.pin("k")
    cache.set("k", KB, ttl=10)
    clock.advance(11)
    assert cache.get("k") is None
    flood(cache)
    assert cache.l1.pins == {"k": False}
    assert cache.get_stats()["L1"].removed["expired"] == 1


def test_a_pinned_entry_is_invalidated(cache):
    """By key, tag, pattern and namespace; what is stored afterwards is pinned again."""
    drops = [
        lambda: cache.delete("k"),
        lambda: cache.invalidate(tags=["t"]),
        lambda: cache.invalidate(pattern="k*"),
        cache.clear,
    ]
    cache.l1.pin("k")
    for drop in drops:
        cache.set("k", KB, tags=["t"])
        assert cache.l1.pins == {"k": True}
        drop()
        assert cache.get("k") is None
        assert cache.l1.pins == {"k": False}
    cache.set("k", KB)
    flood(cache)
    assert cache.get("k") == KB


def test_pins_take_half_of_l1_at_most(cache):
    """The rest is evicted as any other, and pinned when it is stored again while there is room."""
    for number in range(12):
        cache.set(f"k{number}", KB)
        cache.l1.pin(f"k{number}")
    pinned = [key for key, is_pinned in cache.l1.pins.items() if is_pinned]
    assert pinned
    assert len(pinned) * len(KB) < sum(r.size for r in cache.l1.top(12, by="bytes") if r.is_pinned) <= 10_000
    flood(cache)
    assert all(cache.get(key) == KB for key in pinned)
    cache.delete(pinned[0])
    other = next(key for key, is_pinned in cache.l1.pins.items() if not is_pinned and key != pinned[0])
    cache.set(other, KB)
    assert cache.l1.pins[other] is True


def test_by_count_pins_take_half_at_most():
    """The others still have places."""
    cache = CacheManager([MemoryTier(10**6, max_entries=10)])
    for number in range(10):
        cache.l1.pin(f"k{number}")
        cache.set(f"k{number}", 1)
    assert sum(cache.l1.pins.values()) == 5
    cache.set("other", 2)
    assert cache.get("other") == 2


def test_an_entry_that_grows_past_the_share_is_pinned_no_longer(cache):
    """It is stored all the same."""
    for number in range(7):  # which fill the share
        cache.l1.pin(f"k{number}")
        cache.set(f"k{number}", "x" * 900)
    before = sum(cache.l1.pins.values())
    cache.set("k0", "x" * 1800)
    assert cache.get("k0") == "x" * 1800
    assert sum(cache.l1.pins.values()) == before - 1


def test_so_many_keys_can_be_pinned_and_no_more(cache):
    """Pins of keys that are not there take memory, too."""
    for number in range(10_000):
        cache.l1.pin(f"k{number}")
    cache.l1.pin("k7")
    with pytest.raises(InvalidArgumentError, match="10,000"):
        cache.l1.pin("one more")
    cache.l1.unpin("k7")
    cache.l1.pin("one more")


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("max_entries", [None, 40])
def test_whatever_is_pinned_the_books_agree(policy, max_entries):
    """Each entry is in the order or pinned, never both; sizes hold."""
    entries = MemoryEntries(20_000, max_entries, policy=policy, clock=FakeClock(), counters=TierCounters())
    chance = random.Random(7)
    sizes = {}
    for _ in range(6_000):
        key = f"k{chance.randrange(120)}"
        action = chance.random()
        if action < 0.08:
            entries.remove(key)
        elif action < 0.14:
            entries.pins.want(key)
            entries.pin(key)
        elif action < 0.2:
            entries.unpin(key)
        elif (entry := entries.index.get(key)) is not None and action < 0.5:
            entry.marked = 1
        else:
            sizes[key] = chance.randrange(1, 2_400)
            entries.store(key, Entry(1, 1.0), sizes[key])
        pinned = {each for each in entries.index if each in entries.pins}
        assert set(entries.order).isdisjoint(pinned)
        assert set(entries.order) | pinned == set(entries.index)
        assert pinned <= entries.pins.wanted
        assert entries.pins.weight == sum(sizes[each] for each in pinned) <= 10_000
        assert entries.weight == sum(sizes[each] for each in entries.index) <= 20_000
        assert len(entries.index) <= (max_entries or 10**9)
        assert len(pinned) <= (max_entries or 10**9) // 2
