"""What every tier must do, as one suite of tests that any tier's own tests inherit.

A subclass named `Test…` gives the fixtures `tier` and `neighbour`, the latter of another namespace.
"""

import math
from collections.abc import Iterator

import pytest

from greencache.entry import Entry
from greencache.keys import Pattern
from greencache.testing.clock import FakeClock
from greencache.tiers.base import StampStore, Status, Tier
from greencache.tiers.inspection import Inspection

__all__ = ["HOSTILE_KEYS", "TierSuite"]

HOSTILE_KEYS = (
    "*", "?", "[a]", "a*b", "{x}", "}", "{", "{}", "%7D", "%", "_", "\\", "'; DROP TABLE entries; --", '"',
    "a\r\nSET b 1", "nul\0nul", "ns:key", ":", " ", "Zürich", "Zu\u0308rich", "電力", "≤1980", "a,b (c)",
    "x" * 1000,
)  # fmt: skip


class TierSuite:
    """Promises of the `Tier` protocol. Subclasses give the fixtures `tier` and `neighbour`."""

    has_exclusive_leases = True
    """Whether a second reservation of a key is refused while the first is held."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        """The clock of the tiers."""
        return FakeClock()

    @pytest.fixture
    def tier(self, clock: FakeClock) -> Iterator[Tier]:
        """Give the tier under test, empty, with an entry limit of at least 2 KiB and at most 1 MB."""
        raise NotImplementedError

    @pytest.fixture
    def neighbour(self, clock: FakeClock) -> Iterator[Tier]:
        """Give a tier of another namespace that shares its server."""
        raise NotImplementedError

    @staticmethod
    def entry(clock: FakeClock, value: object = "value", ttl: float = 60.0, stale_ttl: float = 0.0) -> Entry:
        """Return an entry made now."""
        return Entry(value, clock.now() + ttl, clock.now() + ttl + stale_ttl, created=clock.wall())

    # -- values and time

    def test_what_was_put_is_found(self, tier: Tier, clock: FakeClock) -> None:
        """A put entry is returned with its value, and with its times to within a millisecond."""
        assert tier.put_many({"a": self.entry(clock, {"n": [1, None]}), "b": self.entry(clock, None)}) == {
            "a",
            "b",
        }
        found = tier.get_many(["a", "b", "c"])
        assert {key: entry.value for key, entry in found.items()} == {"a": {"n": [1, None]}, "b": None}
        assert found["a"].fresh_until == pytest.approx(clock.now() + 60.0, abs=0.001)

    def test_what_never_expires_stays_fresh(self, tier: Tier, clock: FakeClock) -> None:
        """An entry without ttl comes back without ttl."""
        tier.put_many({"a": Entry(1, math.inf, math.inf)})
        clock.advance(1e6)
        assert tier.get_many(["a"])["a"].fresh_until == math.inf

    def test_a_stale_entry_is_returned_and_one_that_is_gone_is_not(
        self, tier: Tier, clock: FakeClock
    ) -> None:
        """Staleness is for the caller to judge, absence for the tier."""
        tier.put_many({"a": self.entry(clock, ttl=60.0, stale_ttl=60.0)})
        clock.advance(90.0)
        assert "a" in tier.get_many(["a"])
        clock.advance(60.0)
        assert tier.get_many(["a"]) == {}

    def test_stamps_tier_and_cost_survive(self, tier: Tier, clock: FakeClock) -> None:
        """What is kept beside the value comes back with it."""
        entry = Entry(
            "v", clock.now() + 60.0, stamps=(("", "n1"), ("région:日本", "t1")), tier=tier.name, cost=0.25
        )
        tier.put_many({"a": entry})
        found = tier.get_many(["a"])["a"]
        assert (found.stamps, found.tier, found.cost) == (entry.stamps, tier.name, 0.25)

    @pytest.mark.parametrize("key", HOSTILE_KEYS)
    def test_a_hostile_key_touches_only_itself(self, tier: Tier, clock: FakeClock, key: str) -> None:
        """No text in a key becomes a command, a pattern or SQL."""
        tier.put_many({key: self.entry(clock, "hostile"), "bystander": self.entry(clock, "kept")})
        assert tier.get_many([key])[key].value == "hostile"
        assert tier.drop_many([key]) == 1
        assert tier.get_many([key, "bystander"]).keys() == {"bystander"}

    def test_namespaces_do_not_see_each_other(self, tier: Tier, neighbour: Tier, clock: FakeClock) -> None:
        """The same key in two namespaces is two entries, and a pattern stays in its own."""
        tier.put_many({"a": self.entry(clock, 1)})
        neighbour.put_many({"a": self.entry(clock, 2)})
        assert tier.get_many(["a"])["a"].value == 1
        tier.drop_matching(Pattern("*"))
        assert neighbour.get_many(["a"])["a"].value == 2

    # -- leases

    def test_a_fill_needs_a_lease(self, tier: Tier, clock: FakeClock) -> None:
        """Without a lease nothing is stored."""
        assert tier.fill_many({"a": self.entry(clock)}, {}) == set()
        assert tier.get_many(["a"]) == {}

    def test_a_fill_with_a_good_lease_is_stored_once(self, tier: Tier, clock: FakeClock) -> None:
        """A lease is used up by its fill."""
        leases = tier.reserve_many(["a"])
        assert tier.fill_many({"a": self.entry(clock, 1)}, leases) == {"a"}
        tier.fill_many({"a": self.entry(clock, 2)}, leases)
        assert tier.get_many(["a"])["a"].value == 1

    def test_a_drop_voids_the_lease(self, tier: Tier, clock: FakeClock) -> None:
        """A load that began before a drop is not stored after it, even when nothing was there to drop."""
        leases = tier.reserve_many(["a"])
        tier.drop_many(["a"])
        assert tier.fill_many({"a": self.entry(clock, "old")}, leases) == set()
        assert tier.get_many(["a"]) == {}

    def test_a_put_voids_the_lease(self, tier: Tier, clock: FakeClock) -> None:
        """A load that began before a write does not cover what was written."""
        leases = tier.reserve_many(["a"])
        tier.put_many({"a": self.entry(clock, "new")})
        assert tier.fill_many({"a": self.entry(clock, "old")}, leases) == set()
        assert tier.get_many(["a"])["a"].value == "new"

    def test_a_pattern_voids_leases_of_absent_keys(self, tier: Tier, clock: FakeClock) -> None:
        """A load under way for a matching key is not stored, though there was no entry to match."""
        leases = tier.reserve_many(["user:1"])
        tier.drop_matching(Pattern("user:*"))
        assert tier.fill_many({"user:1": self.entry(clock, "old")}, leases) == set()

    def test_a_lease_is_unique_per_fill(self, tier: Tier, clock: FakeClock) -> None:
        """After a drop and a second reservation the first fill does not pass for the second."""
        first = tier.reserve_many(["a"])
        tier.drop_many(["a"])
        second = tier.reserve_many(["a"])
        assert tier.fill_many({"a": self.entry(clock, "old")}, first) == set()
        assert tier.fill_many({"a": self.entry(clock, "new")}, second) == {"a"}
        assert tier.get_many(["a"])["a"].value == "new"

    def test_in_a_batch_only_void_leases_are_refused(self, tier: Tier, clock: FakeClock) -> None:
        """One dropped key does not cost the others their fill, and none of them voids another."""
        keys = [f"k{number}" for number in range(300)]
        leases = tier.reserve_many(keys)
        assert leases.keys() == set(keys)
        tier.drop_many(["k7"])
        stored = tier.fill_many({key: self.entry(clock, key) for key in keys}, leases)
        assert stored == set(keys) - {"k7"}

    def test_a_stale_entry_can_be_reserved_and_replaced(self, tier: Tier, clock: FakeClock) -> None:
        """An entry that is still there does not stand in the way of its renewal."""
        tier.put_many({"a": self.entry(clock, "old", ttl=1.0, stale_ttl=60.0)})
        clock.advance(2.0)
        leases = tier.reserve_many(["a"])
        assert tier.fill_many({"a": self.entry(clock, "new")}, leases) == {"a"}
        assert tier.get_many(["a"])["a"].value == "new"

    def test_a_held_lease_is_refused_to_others_until_released(self, tier: Tier) -> None:
        """Where leases elect a loader there is one at a time, and giving up lets the next one in."""
        if not self.has_exclusive_leases:
            assert tier.reserve_many(["a"]) == tier.reserve_many(["a"])
            return
        first = tier.reserve_many(["a"])
        assert tier.reserve_many(["a"]) == {}
        tier.release_many(first)
        second = tier.reserve_many(["a"])
        tier.release_many(first)  # a lease that is no longer one's own is not given up
        assert tier.reserve_many(["a"]) == {}
        assert second.keys() == {"a"}

    # -- dropping and size

    def test_drops_are_counted(self, tier: Tier, clock: FakeClock) -> None:
        """The count is of entries, not of keys asked for, and not of leases."""
        tier.put_many({key: self.entry(clock) for key in ("a", "b", "ab")})
        tier.reserve_many(["aa"])
        assert tier.drop_many(["b", "nothing"]) == 1
        assert tier.drop_matching(Pattern("a*")) == 2
        assert tier.drop_many([]) == 0

    def test_a_pattern_is_literal_but_for_its_wildcards(self, tier: Tier, clock: FakeClock) -> None:
        """Other specials of the server's own patterns mean themselves."""
        keys = ["a[1]", "a1", "a_b", "axb", "a%", "a{x}", "a\\"]
        tier.put_many({key: self.entry(clock) for key in keys})
        assert tier.drop_matching(Pattern("a[1]")) == 1
        assert tier.drop_matching(Pattern("a_b")) == 1
        assert tier.drop_matching(Pattern("a{?}")) == 1
        assert tier.drop_matching(Pattern("a%")) == 1
        assert tier.get_many(keys).keys() == {"a1", "axb", "a\\"}

    def test_what_is_too_large_is_refused_and_leaves_nothing_old(self, tier: Tier, clock: FakeClock) -> None:
        """A put that does not fit removes what was there, for that is outdated."""
        tier.put_many({"a": self.entry(clock, "small")})
        assert tier.put_many({"a": self.entry(clock, "x" * 2_000_000), "b": self.entry(clock)}) == {"b"}
        assert tier.get_many(["a", "b"]).keys() == {"b"}
        leases = tier.reserve_many(["a"])
        assert tier.fill_many({"a": self.entry(clock, "x" * 2_000_000)}, leases) == set()
        assert tier.counters.refused_sizes == 2

    def test_usage_counts_entries_of_the_namespace(
        self, tier: Tier, neighbour: Tier, clock: FakeClock
    ) -> None:
        """Leases and other namespaces are not counted."""
        tier.put_many({key: self.entry(clock) for key in ("a", "b")})
        tier.reserve_many(["c"])
        neighbour.put_many({"d": self.entry(clock)})
        usage = tier.usage()
        assert usage.entries == 2
        assert usage.size > 0

    def test_a_check_finds_it_up(self, tier: Tier) -> None:
        """A tier that answers is up, with its latency."""
        health = tier.check()
        assert health.status is Status.UP
        assert health.latency_ms is not None

    def test_closing_twice_is_harmless(self, tier: Tier) -> None:
        """A cache may be closed by its context and by hand."""
        tier.close()
        tier.close()

    # -- what tools ask

    def test_a_scan_finds_the_entries_that_match(self, tier: Tier, neighbour: Tier, clock: FakeClock) -> None:
        """Neither leases nor other namespaces, and a wildcard means what it means to a drop."""
        tier.put_many({key: self.entry(clock) for key in (*HOSTILE_KEYS, "a1")})
        tier.reserve_many(["a-lease"])
        neighbour.put_many({"a-foreign": self.entry(clock)})

        def found(pattern: str) -> set[str]:
            return {key for batch in tier.scan_keys(Pattern(pattern)) for key in batch}

        assert found("*") == {*HOSTILE_KEYS, "a1"}
        assert found("a*") == {key for key in (*HOSTILE_KEYS, "a1") if key.startswith("a")}
        assert found("[a]") == {"[a]"}
        assert found("nothing") == set()

    def test_an_inspection_tells_entries_and_leases(self, tier: Tier, clock: FakeClock) -> None:
        """What is there, what it takes, and whether somebody is on the way down for it."""
        stamped = Entry("v", clock.now() + 60.0, clock.now() + 90.0, stamps=(("t", "1"),), cost=0.25)
        tier.put_many({"held": stamped})
        tier.reserve_many(["leased"])
        found = tier.inspect_many(["held", "leased", "absent"])
        assert found.keys() == {"held", "leased", "absent"}
        held = found["held"].entry
        assert held is not None
        assert (held.stamps, held.cost) == (stamped.stamps, 0.25)
        assert (found["held"].size or 0) > 0
        assert found["held"].lease is None
        assert found["leased"].entry is None
        assert found["leased"].lease is not None
        assert found["absent"] == Inspection()

    def test_looking_changes_and_counts_nothing(self, tier: Tier, clock: FakeClock) -> None:
        """Leases stay good, entries stay, and no counter moves."""
        tier.put_many({"a": self.entry(clock)})
        leases = tier.reserve_many(["b"])
        before = tier.counters.snapshot()
        for _ in range(2):
            tier.inspect_many(["a", "b"])
            list(tier.scan_keys(Pattern("*")))
            list(tier.scan_keys(Pattern("a")))
        assert tier.counters.snapshot() == before
        assert tier.get_many(["a"]).keys() == {"a"}
        assert tier.fill_many({"b": self.entry(clock)}, leases) == {"b"}

    # -- stamps

    def test_stamps_are_looked_up_without_making_any(self, tier: Tier) -> None:
        """A tool must not make a tag's stamp, or everything under the lost one would be proved outdated."""
        if not isinstance(tier, StampStore):
            return
        assert tier.find_stamps(["t", ""]) == {}
        made = tier.read_stamps(["t"])
        assert tier.find_stamps(["t", "other", ""]) == made

    def test_stamps_are_agreed_on_and_replaced(self, tier: Tier, neighbour: Tier) -> None:
        """Whoever asks first creates a stamp; all others get the same until it is replaced."""
        if not isinstance(tier, StampStore):
            return
        first = tier.read_stamps(["", "région:日本", "*"])
        assert tier.read_stamps(["*", "", "région:日本"]) == first
        assert len(set(first.values())) == 3
        tier.replace_stamps({"*": "new"})
        assert tier.read_stamps(["", "région:日本", "*"]) == {**first, "*": "new"}
        assert isinstance(neighbour, StampStore)
        assert neighbour.read_stamps([""])[""] != first[""]
