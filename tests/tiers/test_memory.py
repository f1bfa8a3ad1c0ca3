"""L1."""

import threading

import pytest

from greencache.entry import Entry
from greencache.errors import ConfigurationError
from greencache.keys import Pattern
from greencache.testing import FakeClock
from greencache.testing.conformance import TierSuite
from greencache.tiers.memory import MemoryTier


class TestMemoryTier(TierSuite):
    """L1 keeps the promises of every tier."""

    has_exclusive_leases = False

    @pytest.fixture
    def tier(self, clock):
        """An L1 of one megabyte."""
        return MemoryTier(1_000_000, clock=clock)

    @pytest.fixture
    def neighbour(self, clock):
        """Another L1: memory is not shared at all."""
        return MemoryTier(1_000_000, clock=clock)


def fresh(clock, value="value", **more):
    """Return an entry that is fresh for a minute."""
    return Entry(value, clock.now() + 60.0, **more)


def put(tier, clock, *keys, value="value"):
    """Store entries under keys."""
    tier.put_many({key: fresh(clock, value) for key in keys})


def test_bytes_stay_within_the_budget_at_every_moment():
    """However many entries come, their weights never exceed the size."""
    clock = FakeClock()
    tier = MemoryTier(45_000, clock=clock)
    for number in range(1000):
        put(tier, clock, f"k{number}", value="x" * (number % 700))
        assert tier.usage().size <= 45_000
    assert tier.counters.evictions > 900


def test_entries_stay_within_their_number():
    """`max_entries` bounds the count, and the least recently used goes first."""
    clock = FakeClock()
    tier = MemoryTier(max_entries=3, clock=clock)
    put(tier, clock, "a", "b", "c", "d")
    assert tier.get_many("abcd").keys() == {"b", "c", "d"}


def test_a_hit_saves_an_entry_from_eviction():
    """An entry that was hit is passed over once."""
    clock = FakeClock()
    tier = MemoryTier(max_entries=3, clock=clock)
    put(tier, clock, "a", "b", "c")
    tier.peek("a").marked = 1
    put(tier, clock, "d")
    assert tier.get_many("abcd").keys() == {"a", "c", "d"}


def test_an_entry_over_an_eighth_of_the_size_is_refused():
    """One entry must not push everything else out."""
    clock = FakeClock()
    tier = MemoryTier(100_000, clock=clock)
    assert tier.put_many({"a": fresh(clock, "x" * 13_000)}) == set()
    assert tier.put_many({"b": fresh(clock, "x" * 11_000)}) == {"b"}
    assert tier.counters.refused_sizes == 1


def test_entries_of_a_replaced_stamp_are_removed():
    """Tagged entries go at once, all others stay."""
    clock = FakeClock()
    tier = MemoryTier(clock=clock)
    tier.put_many(
        {
            "a": fresh(clock, stamps=(("", "n"), ("t", "1"))),
            "b": fresh(clock, stamps=(("", "n"), ("u", "1"))),
        }
    )
    assert tier.replace_stamps({"t": "2"}, 1) == 1
    assert tier.get_many("ab").keys() == {"b"}
    assert tier.replace_stamps({"": "m"}, 1) == 1
    assert tier.get_many("ab") == {}


def test_a_fill_with_a_replaced_stamp_is_refused():
    """A load that began before its tag was invalidated is not stored, whatever its lease says."""
    clock = FakeClock()
    tier = MemoryTier(clock=clock)
    leases = tier.reserve_many(["a"])
    tier.replace_stamps({"t": "2"}, 1)
    old = fresh(clock, "old", stamps=(("t", "1"),))
    assert tier.fill_many({"a": old}, leases) == set()
    assert tier.fill_many({"a": fresh(clock, "new", stamps=(("t", "2"),))}, tier.reserve_many(["a"])) == {"a"}


def test_forgetting_replaced_stamps_voids_all_leases():
    """The list of replaced stamps is bounded; when it starts anew, no load that began before may fill."""
    clock = FakeClock()
    tier = MemoryTier(clock=clock)
    leases = tier.reserve_many(["a"])
    tier.replace_stamps({"t": "2"}, 1)
    for number in range(10_001):
        tier.replace_stamps({f"other{number}": "1"}, number)
    assert tier.fill_many({"a": fresh(clock, "old", stamps=(("t", "1"),))}, leases) == set()


def test_entries_that_are_gone_are_swept_by_writes():
    """Memory is given back without a background thread."""
    clock = FakeClock()
    tier = MemoryTier(clock=clock)
    put(tier, clock, *(f"old{number}" for number in range(100)))
    clock.advance(61.0)
    for number in range(200):
        put(tier, clock, f"new{number}")
    assert tier.counters.expired == 100
    assert tier.usage().entries == 200


def test_tags_are_forgotten_with_their_entries():
    """The index of tags does not outgrow the entries."""
    clock = FakeClock()
    tier = MemoryTier(max_entries=10, clock=clock)
    for number in range(1000):
        tier.put_many({f"k{number}": fresh(clock, stamps=((f"tag{number}", "1"),))})
    assert len(tier._entries.tagged) == 10


def test_clearing_voids_leases_and_empties():
    """After a clear nothing is there, and no load that began before it can store."""
    clock = FakeClock()
    tier = MemoryTier(clock=clock)
    put(tier, clock, "a", "b")
    leases = tier.reserve_many(["c"])
    assert tier.clear() == 2
    assert tier.fill_many({"c": fresh(clock)}, leases) == set()
    assert tier.usage().entries == 0


@pytest.mark.parametrize("arguments", [{"size": 0}, {"size": -5}, {"max_entries": 0}, {"policy": "lru2"}])
def test_an_l1_without_room_or_policy_is_refused(arguments):
    """Wrong use is refused when the tier is built."""
    with pytest.raises(ConfigurationError):
        MemoryTier(**arguments)


def test_threads_leave_index_order_and_tags_in_agreement():
    """After writers, droppers and readers from several threads, all inner books agree."""
    clock = FakeClock()
    tier = MemoryTier(60_000, clock=clock)
    start = threading.Barrier(4)

    def work(seed):
        start.wait()
        for number in range(2000):
            key = f"k{(number * 7 + seed * 13) % 150}"
            leases = tier.reserve_many([key])
            tier.fill_many(
                {key: fresh(clock, "x" * (number % 50), stamps=((f"t{number % 5}", "1"),))}, leases
            )
            tier.get_many([key])
            if number % 11 == 0:
                tier.drop_many([key])
            if number % 500 == 0:
                tier.drop_matching(Pattern("k1*"))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entries = tier._entries
    assert entries.index.keys() == set(entries.order)
    assert {key for keys in entries.tagged.values() for key in keys} == set(entries.index)
    assert tier.usage().size == sum(map(entries.order.weight_of, entries.order)) <= 60_000


def test_a_late_word_of_an_older_stamp_is_ignored():
    """Whoever replaces a stamp tells L1 without a lock, so two may arrive in the other order."""
    clock = FakeClock()
    tier = MemoryTier(clock=clock)
    tier.replace_stamps({"t": "new"}, 2)
    tier.replace_stamps({"t": "old"}, 1)
    entry = fresh(clock, stamps=(("t", "new"),))
    assert tier.fill_many({"a": entry}, tier.reserve_many(["a"])) == {"a"}


def test_a_fill_refused_for_its_stamps_gives_its_lease_up():
    """Leases do not pile up."""
    clock = FakeClock()
    tier = MemoryTier(clock=clock)
    tier.replace_stamps({"t": "new"}, 1)
    for number in range(50):
        key = f"k{number}"
        tier.fill_many({key: fresh(clock, stamps=(("t", "old"),))}, tier.reserve_many([key]))
    assert tier._leases == {}


def test_readers_of_one_key_share_a_lease_until_one_fills():
    """One that gives up does not take it from the others."""
    clock = FakeClock()
    tier = MemoryTier(clock=clock)
    first, second = tier.reserve_many(["a"]), tier.reserve_many(["a"])
    tier.release_many(first)
    assert tier.fill_many({"a": fresh(clock)}, second) == {"a"}
    assert tier._leases == {}
