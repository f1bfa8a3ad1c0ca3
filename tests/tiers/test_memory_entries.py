"""What L1 holds, within its bounds."""

import random
import threading
from typing import get_args

import pytest

from greencache import CacheManager
from greencache.config.tiers import EvictionPolicy
from greencache.entry import Entry
from greencache.policies import POLICIES
from greencache.stats import TierCounters
from greencache.testing import DoubleRedisTier, FakeClock, RedisDouble
from greencache.tiers.memory import MemoryTier
from greencache.tiers.memory_entries import MemoryEntries
from tests.policies.conftest import audit_order

WEIGHT = 100


def entries_of(size=10_000, max_entries=None, policy="default"):
    """Return empty entries, and what they count."""
    counters = TierCounters()
    made = MemoryEntries(size, max_entries, policy=policy, clock=FakeClock(), counters=counters)
    return made, counters


def hit_ratio(entries, requests):
    """Return which part of the requests is there; what is not is stored."""
    hits = 0
    for key in requests:
        entry = entries.index.get(key)
        if entry is None:
            entries.store(key, Entry(1, 1.0), WEIGHT)
        else:
            hits += 1
            entry.marked = min(entry.marked + 1, 3)
    return hits / len(requests)


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_keeps_the_bounds_and_the_books(policy):
    """After stores, renewals with other weights, and removals, the order knows what the index has."""
    entries, counters = entries_of(max_entries=50, policy=policy)
    chance = random.Random(4)
    for _ in range(5_000):
        key = f"k{chance.randrange(150)}"
        if chance.random() < 0.1:
            entries.remove(key)
        elif (entry := entries.index.get(key)) is not None and chance.random() < 0.5:
            entry.marked = 1
        else:
            entries.store(key, Entry(1, 1.0), chance.randrange(1, 400))
        assert entries.weight <= 10_000
        assert len(entries.index) <= 50
        assert set(entries.order) == set(entries.index)
    assert 0 < counters.count_evictions < counters.evictions


def test_evictions_say_which_bound_they_keep():
    """Too many entries are told from too many bytes."""
    entries, counters = entries_of(max_entries=3)
    for key in "abcd":
        entries.store(key, Entry(1, 1.0), WEIGHT)
    assert (counters.evictions, counters.count_evictions) == (1, 1)
    entries, counters = entries_of(8 * WEIGHT, max_entries=9)
    for key in "abcdefghi":
        entries.store(key, Entry(1, 1.0), WEIGHT)
    assert (counters.evictions, counters.count_evictions) == (1, 0)


def test_a_renewed_entry_keeps_its_marks():
    """A value that is written again is as popular as the one before."""
    entries, counters = entries_of(max_entries=2)
    entries.store("a", Entry(1, 1.0), WEIGHT)
    entries.index["a"].marked = 1
    entries.store("a", Entry(2, 1.0), WEIGHT)
    assert entries.index["a"].value == 2
    assert entries.index["a"].marked > 0
    assert counters.evictions == 0


def test_an_entry_that_an_l1_has_had_is_copied_by_whoever_gets_it_next():
    """The policy's books are in it: under two keys, or in two L1s, each would spoil the other's."""
    first, second = entries_of()[0], entries_of()[0]
    entry = Entry("v", 50.0, 70.0, due_at=40.0, created=3.0, stamps=(("t", "1"),), cost=0.5)
    first.store("a", entry, 100)
    assert first.index["a"] is entry
    first.store("b", entry, 200)
    first.store("a", entry, 300)
    second.store("a", entry, 400)
    held = [first.index["a"], first.index["b"], second.index["a"]]
    assert [each.weight for each in held] == [300, 200, 400]
    assert len({id(each) for each in (entry, *held)}) == 4
    for each in held:
        for name in ("value", "fresh_until", "stale_until", "due_at", "created", "stamps", "tier", "cost"):
            assert getattr(each, name) == getattr(entry, name)
    assert (first.weight, second.weight) == (500, 400)
    first.remove("a")
    second.store("c", held[0], 50)
    for entries in (first, second):
        audit_order(entries.order)
    assert (first.weight, second.weight) == (200, 450)


def test_two_l1s_that_get_the_same_entries_at_once_keep_their_books():
    """Each entry becomes one's own under a lock that all L1s of a process share."""
    pair = [entries_of(2_000, policy="s3fifo")[0] for _ in range(2)]
    shared = [Entry(number, 1.0) for number in range(3_000)]
    start = threading.Barrier(2)

    def fill(entries, weight):
        start.wait(60)
        for number, entry in enumerate(shared):
            entries.store(f"k{number % 50}", entry, weight)

    threads = [threading.Thread(target=fill, args=(each, 100 + n)) for n, each in enumerate(pair)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not {id(entry) for entry in pair[0].index.values()} & {
        id(entry) for entry in pair[1].index.values()
    }
    for entries in pair:
        audit_order(entries.order)


@pytest.mark.parametrize("policy", ["default", "s3fifo"])
def test_a_bound_by_count_is_used_as_well_as_one_by_bytes(policy):
    """Queues that are parts of bytes which the count never lets them reach would keep what nobody wants."""
    chance = random.Random(7)
    requests = [f"k{int(chance.paretovariate(0.4)) % 20_000}" for _ in range(30_000)]
    by_bytes, _ = entries_of(200 * WEIGHT, policy=policy)
    by_count, _ = entries_of(1_000_000, max_entries=200, policy=policy)
    assert hit_ratio(by_count, requests) >= hit_ratio(by_bytes, requests) - 0.01


def test_the_settings_name_every_policy():
    """Configuration files can choose whatever can be chosen."""
    assert set(get_args(EvictionPolicy)) == set(POLICIES)


def test_by_gdsf_what_is_dear_to_load_stays():
    """An entry that takes a second to load survives a hundred times as many that take a millisecond."""
    clock = FakeClock()
    cache = CacheManager([MemoryTier(50_000, policy="gdsf", clock=clock)], clock=clock)

    def load(seconds):
        clock.advance(seconds)
        return "x" * 200

    cache.get_or_load("dear", lambda: load(1.0), ttl=None)
    for number in range(1_000):
        cache.get_or_load(f"cheap:{number}", lambda: load(0.001), ttl=None)
    assert cache.get("dear") is not None
    assert cache.get("cheap:0") is None
    assert cache.get_stats()["L1"].evictions > 900


def test_by_gdsf_a_cost_that_was_paid_elsewhere_counts():
    """What another process has measured travels with the entry."""
    clock, server = FakeClock(), RedisDouble()
    writer = CacheManager([DoubleRedisTier(server, clock=clock)], clock=clock)
    writer.get_or_load("dear", lambda: clock.advance(2.0) or "x" * 200, ttl=None)
    tiers = [MemoryTier(50_000, policy="gdsf", ttl=None, clock=clock), DoubleRedisTier(server, clock=clock)]
    reader = CacheManager(tiers, clock=clock)
    reader.get("dear")
    for number in range(500):
        reader.get_or_load(f"cheap:{number}", lambda: clock.advance(0.001) or "x" * 200, ttl=None)
    assert [row.key for row in reader.l1.top(1000, by="bytes") if row.key == "dear"] == ["dear"]
