"""The Redis tier, against a real server."""

import math
import os
import threading

import pytest

from greencache.backends.redis import RedisManager
from greencache.codecs import Codec
from greencache.entry import Entry
from greencache.errors import EncodeError, TierUnavailableError
from greencache.events import NullRecorder
from greencache.keys import Pattern
from greencache.stats import TierCounters
from greencache.testing import FakeClock, wait_until
from greencache.tiers.base import Landing, StampStore, Status, Tier, TierUsage
from greencache.tiers.border import Border
from greencache.tiers.redis import RedisTier
from greencache.typing import CacheTier

STRANGE_KEYS = [
    "*", "?", "[a-z]", "a\\*b", "{x}", "}", "{", "}:other}", "a:b", "%7D", "%", "\0", "a\0b",
    "\r\nFLUSHALL\r\n", "'; DROP", "日本語", "é", "e\u0301", "≤1980", " ", "x" * 1000,
]  # fmt: skip


@pytest.fixture
def clock():
    """The clock of all tiers of a test."""
    return FakeClock()


@pytest.fixture
def manager(redis_url):
    """Talks to the server, for the tiers and for the test itself."""
    manager = RedisManager(redis_url)
    yield manager
    manager.close()


@pytest.fixture
def make_tier(manager, clock):
    """Make tiers that stand for several processes on one server."""

    def make(namespace="app", *, through=manager, max_size=100_000, lease_ttl=10.0):
        counters = TierCounters()
        border = Border(
            CacheTier.L3,
            Codec(clock=clock),
            namespace=namespace,
            max_size=max_size,
            counters=counters,
            recorder=NullRecorder(),
        )
        return RedisTier(
            CacheTier.L3,
            through,
            border,
            namespace=namespace,
            ttl=3600.0,
            lease_ttl=lease_ttl,
            clock=clock,
            counters=counters,
        )

    return make


@pytest.fixture
def tier(make_tier):
    """The tier under test."""
    return make_tier()


@pytest.fixture
def entry(clock):
    """Make entries."""

    def make(value, fresh=60.0, stale=120.0):
        return Entry(
            value, clock.now() + fresh, clock.now() + stale, created=clock.wall(), stamps=(("", "s"),)
        )

    return make


class Spy:
    """A real manager with a place to look, or to step in, before each call."""

    def __init__(self, manager, **before):
        self.manager = manager
        self.before = before
        self.called = []

    def __getattr__(self, name):
        method = getattr(self.manager, name)

        def call(*args, **kwargs):
            self.called.append((name, *args))
            if name in self.before:
                return self.before[name](method, *args, **kwargs)
            return method(*args, **kwargs)

        return call if callable(method) else method


def values(found):
    """Return the values of entries by key."""
    return {key: entry.value for key, entry in found.items()}


def fill(tier, key, entry, leases=None):
    """Reserve and fill one key."""
    return tier.fill_many({key: entry}, leases or tier.reserve_many([key]))


class TestReading:
    def test_what_was_filled_is_found_with_its_times_and_stamps(self, tier, entry):
        """An entry survives the journey."""
        sent = entry({"a": [1, None]})
        assert fill(tier, "k", sent) == {"k"}
        found = tier.get_many(["k"])["k"]
        assert found.value == {"a": [1, None]}
        assert (found.fresh_until, found.stale_until) == pytest.approx((sent.fresh_until, sent.stale_until))
        assert found.stamps == (("", "s"),)

    def test_none_is_a_value(self, tier, entry):
        """An entry of `None` is there; a missing key is not in the answer."""
        tier.put_many({"k": entry(None)})
        assert values(tier.get_many(["k", "missing"])) == {"k": None}

    def test_a_hit_costs_one_plain_get(self, make_tier, manager, entry):
        """Looking up one key is one GET, and nothing else."""
        spy = Spy(manager)
        tier = make_tier(through=spy)
        tier.put_many({"k": entry(1)})
        spy.called.clear()
        assert tier.get_many(["k"])
        assert spy.called == [("execute", b"GET", b"gc:v:{app:k}")]

    def test_many_keys_are_read_in_few_commands(self, make_tier, manager, entry):
        """Keys by the thousand are found, a few hundred a command."""
        spy = Spy(manager)
        tier = make_tier(through=spy)
        wanted = {f"k{number}": entry(number) for number in range(1_200)}
        assert tier.put_many(wanted) == set(wanted)
        spy.called.clear()
        assert values(tier.get_many([*wanted, "missing"])) == {
            key: each.value for key, each in wanted.items()
        }
        assert len(spy.called) == 3
        assert tier.drop_many(wanted) == 1_200

    def test_nothing_is_asked_for_no_keys(self, tier):
        """Empty in, empty out, without an error of the server's."""
        assert tier.get_many([]) == {}
        assert tier.reserve_many([]) == {}
        assert tier.fill_many({}, {}) == set()
        assert tier.put_many({}) == set()
        assert tier.drop_many([]) == 0
        assert tier.extend_many({}) == set()
        assert tier.read_stamps([]) == {}
        tier.release_many({})
        tier.replace_stamps({})

    def test_stale_entries_are_found_and_gone_ones_are_not(self, tier, entry, clock):
        """How old an entry is, is judged by its own times and not by whether the server still has it."""
        tier.put_many({"k": entry(1, fresh=60, stale=120)})
        clock.advance(90)
        assert values(tier.get_many(["k"])) == {"k": 1}
        clock.advance(40)
        assert tier.get_many(["k"]) == {}

    @pytest.mark.parametrize("data", [b"", b"junk", b"\x80\x04K\x01."])
    def test_what_is_no_entry_is_absent_and_counted(self, tier, manager, data):
        """Foreign bytes under a key of ours are a miss."""
        manager.execute("SET", "gc:v:{app:k}", data)
        assert tier.get_many(["k"]) == {}
        assert tier.counters.undecodable == 1

    def test_an_entry_copied_to_another_key_is_absent(self, tier, manager, entry):
        """Bytes are bound to their key and namespace."""
        tier.put_many({"a": entry(1)})
        manager.execute("SET", "gc:v:{app:b}", manager.execute("GET", "gc:v:{app:a}"))
        assert tier.get_many(["b"]) == {}

    def test_a_key_of_another_type_is_absent(self, tier, manager, entry):
        """Somebody else's list where an entry should be is a miss, and is overwritten by a fill."""
        manager.execute("RPUSH", "gc:v:{app:k}", "x")
        assert tier.get_many(["k"]) == {}
        assert tier.get_many(["k", "other"]) == {}
        assert fill(tier, "k", entry(1)) == {"k"}


class TestLeases:
    def test_a_lease_is_given_to_one_at_a_time(self, make_tier):
        """Who comes second gets none, in the same process or another."""
        first, second = make_tier(), make_tier()
        assert set(first.reserve_many(["a", "b"])) == {"a", "b"}
        assert set(second.reserve_many(["b", "c"])) == {"c"}
        assert first.reserve_many(["a"]) == {}

    def test_leases_are_given_whether_or_not_there_is_an_entry(self, tier, entry):
        """A refresh needs a lease on what is there."""
        tier.put_many({"k": entry(1)})
        assert fill(tier, "k", entry(2)) == {"k"}
        assert values(tier.get_many(["k"])) == {"k": 2}

    def test_a_fill_uses_its_lease_up(self, tier, entry):
        """The next one can reserve at once, and the same lease does not fill twice."""
        leases = tier.reserve_many(["k"])
        assert fill(tier, "k", entry(1), leases) == {"k"}
        assert fill(tier, "k", entry(2), leases) == set()
        assert values(tier.get_many(["k"])) == {"k": 1}
        assert set(tier.reserve_many(["k"])) == {"k"}
        assert (tier.counters.fills, tier.counters.refused_fills) == (1, 1)

    @pytest.mark.parametrize(
        "void",
        [
            lambda tier, entry, leases: tier.drop_many(["k"]),
            lambda tier, entry, leases: tier.drop_matching(Pattern("*")),
            lambda tier, entry, leases: tier.drop_matching(Pattern("k")),
            lambda tier, entry, leases: tier.put_many({"k": entry("put")}),
            lambda tier, entry, leases: tier.put_many({"k": entry("too large" * 20_000)}),
            lambda tier, entry, leases: tier.release_many(leases),
        ],
        ids=["drop", "pattern", "literal pattern", "put", "put too large", "release"],
    )
    def test_no_fill_after_its_lease_was_voided(self, tier, entry, void):
        """What was loaded before a drop or a put is not stored after it."""
        leases = tier.reserve_many(["k"])
        void(tier, entry, leases)
        assert fill(tier, "k", entry("old"), leases) == set()
        assert "old" not in values(tier.get_many(["k"])).values()

    def test_a_void_lease_does_not_pass_for_the_next_one(self, tier, entry):
        """Leases are unique per fill: drop, reserve again, and the first fill is still refused."""
        first = tier.reserve_many(["k"])
        tier.drop_many(["k"])
        second = tier.reserve_many(["k"])
        assert fill(tier, "k", entry("old"), first) == set()
        assert fill(tier, "k", entry("new"), second) == {"k"}

    def test_a_lease_ends_by_itself(self, make_tier, manager, entry):
        """A dead holder blocks nobody for long, and cannot come back."""
        short, other = make_tier(lease_ttl=0.05), make_tier()
        leases = short.reserve_many(["k"])
        wait_until(lambda: not manager.execute("EXISTS", "gc:l:{app:k}"), reason="the lease has ended")
        assert fill(short, "k", entry("old"), leases) == set()
        assert set(other.reserve_many(["k"])) == {"k"}

    def test_a_lease_can_be_extended_while_it_is_good(self, make_tier, manager):
        """A long load keeps its lease; a void one stays void."""
        tier = make_tier(lease_ttl=60.0)
        leases = tier.reserve_many(["a", "b"])
        manager.execute("PEXPIRE", "gc:l:{app:a}", 5_000)
        tier.drop_many(["b"])
        assert tier.extend_many(leases) == {"a"}
        assert manager.execute("PTTL", "gc:l:{app:a}") > 50_000
        assert not manager.execute("EXISTS", "gc:l:{app:b}")

    def test_only_ones_own_lease_is_released_or_extended(self, make_tier):
        """A late release does not take the lease of the next holder away."""
        tier, other = make_tier(), make_tier()
        first = tier.reserve_many(["k"])
        tier.release_many(first)
        second = other.reserve_many(["k"])
        tier.release_many(first)
        assert tier.extend_many(first) == set()
        assert other.extend_many(second) == {"k"}

    def test_leases_and_what_is_there_after_them_take_one_round_trip(self, make_tier, manager, entry):
        """Whoever has the lease knows what came before it; whoever has none knows what is there as well."""
        tier, other = make_tier(through=(spy := Spy(manager))), make_tier()
        other.put_many({"b": entry(2), "c": entry(3)})
        theirs = other.reserve_many(["c"])
        leases, found = tier.reserve_and_get(["a", "b"])
        assert (set(leases), values(found)) == ({"a", "b"}, {"b": 2})
        assert [name for name, *_ in spy.called] == ["execute_many"]
        assert tier.fill_many({"a": entry(1)}, leases) == {"a"}
        leases, found = tier.reserve_and_get(["c", "a"])
        assert (set(leases), values(found)) == ({"a"}, {"a": 1, "c": 3})
        assert other.extend_many(theirs) == {"c"}

    def test_what_is_read_with_a_lease_is_read_after_it(self, make_tier, manager, entry):
        """In the order of the commands: a fill that came between would have used the lease up."""
        sent = []

        def note(execute_many, commands, **options):
            sent.extend(command[0] for command in commands)
            return execute_many(commands, **options)

        make_tier(through=Spy(manager, execute_many=note)).reserve_and_get(["a", "b"])
        assert sent == [b"SET", b"SET", b"MGET"]

    def test_a_key_without_a_lease_is_not_filled(self, tier, entry):
        """Entries and leases need not name the same keys."""
        leases = tier.reserve_many(["a", "c"])
        assert tier.fill_many({"a": entry(1), "b": entry(2)}, leases) == {"a"}
        assert values(tier.get_many(["a", "b", "c"])) == {"a": 1}

    def test_of_racing_fills_one_is_stored(self, tier, entry):
        """One lease stores one entry, however many threads try."""
        leases = tier.reserve_many(["k"])
        start = threading.Barrier(8)
        stored = []

        def race(number):
            start.wait(10)
            if fill(tier, "k", entry(number), leases):
                stored.append(number)

        threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert values(tier.get_many(["k"])) == {"k": stored[0]}
        assert len(stored) == 1

    def test_what_the_tier_will_never_hold_keeps_nobody_waiting(self, make_tier, entry):
        """An entry that is too large gives its lease back."""
        tier = make_tier(max_size=1_000)
        assert fill(tier, "k", entry("x" * 2_000)) == set()
        assert tier.counters.refused_sizes == 1
        assert set(tier.reserve_many(["k"])) == {"k"}


class TestLanding:
    @pytest.fixture
    def landed(self, tier):
        """What the tier tells of keys that somebody waits for."""
        told = []
        tier.on_landed = told.extend
        return told

    def test_it_is_a_tier_that_knows_who_waits(self, tier):
        """It has what the protocol asks for."""
        assert isinstance(tier, Landing)

    @pytest.mark.parametrize(
        "end",
        [
            lambda tier, entry, leases: fill(tier, "k", entry(1), leases),
            lambda tier, entry, leases: tier.release_many(leases),
        ],
        ids=["filled", "given up"],
    )
    def test_who_ends_a_lease_is_told_of_those_who_have_noted_that_they_wait(
        self, tier, make_tier, entry, landed, end
    ):
        """However often they have, it is told once."""
        leases = tier.reserve_many(["k"])
        for _ in range(2):
            make_tier().note_waiting(["k", "other"])
        end(tier, entry, leases)
        assert landed == ["k"]
        fill(tier, "k", entry(2))
        assert landed == ["k"]

    def test_who_is_refused_a_lease_is_not_taken_for_waiting(self, tier, make_tier, entry, landed):
        """A mere `get`, or a tier that elects nobody, would have it announced to nobody."""
        leases = tier.reserve_many(["k"])
        assert make_tier().reserve_many(["k"]) == {}
        fill(tier, "k", entry(1), leases)
        assert landed == []

    def test_a_note_ends_by_itself(self, make_tier, manager):
        """Who waits no longer is not told for ever."""
        make_tier(lease_ttl=0.05).note_waiting(["k"])
        wait_until(lambda: not manager.execute("EXISTS", "gc:w:{app:k}"), reason="the note has ended")

    def test_nobody_waits_for_no_keys(self, tier):
        """An empty note is none."""
        tier.note_waiting([])

    def test_only_of_keys_that_somebody_waits_for_is_told(self, tier, make_tier, entry, landed):
        """All at once."""
        leases = tier.reserve_many(["a", "b", "c"])
        make_tier().note_waiting(["a", "c"])
        tier.fill_many({"a": entry(1), "b": entry(2), "c": entry(3)}, leases)
        assert landed == ["a", "c"]

    def test_a_lease_on_what_is_too_large_is_given_up_and_told(self, make_tier, entry):
        """Nothing is going to land."""
        tier, landed = make_tier(max_size=1_000), []
        tier.on_landed = landed.extend
        leases = tier.reserve_many(["k"])
        make_tier().note_waiting(["k"])
        assert tier.fill_many({"k": entry("x" * 2_000)}, leases) == set()
        assert landed == ["k"]

    def test_a_fill_or_release_that_is_refused_tells_nothing(self, tier, make_tier, entry, landed):
        """The lease is another's by now, and who waits waits for that one."""
        leases, other = tier.reserve_many(["k"]), make_tier()
        other.drop_many(["k"])
        assert other.reserve_many(["k"])
        make_tier().note_waiting(["k"])
        assert tier.fill_many({"k": entry("old")}, leases) == set()
        tier.release_many(leases)
        assert landed == []

    def test_nobody_need_listen(self, make_tier, entry):
        """A tier by itself is a tier."""
        tier = make_tier()
        leases = tier.reserve_many(["a", "b"])
        make_tier().note_waiting(["a", "b"])
        assert tier.fill_many({"a": entry(1)}, leases) == {"a"}
        tier.release_many(leases)

    def test_a_note_is_no_key_and_no_lease(self, tier, make_tier):
        """It is found by no scan, and hides nothing."""
        make_tier().note_waiting(["k"])
        assert [key for page in tier.scan_keys(Pattern("*")) for key in page] == []
        assert tier.drop_matching(Pattern("*")) == 0
        assert tier.usage().entries == 0
        assert set(tier.reserve_many(["k"])) == {"k"}

    def test_a_token_says_who_holds_a_lease(self, tier, manager):
        """For people who ask."""
        tier.reserve_many(["k"])
        host, pid, rest = manager.execute("GET", "gc:l:{app:k}").decode().split(":")
        assert host
        assert rest
        assert int(pid) == os.getpid()


class TestWriting:
    def test_a_put_replaces_what_is_there(self, tier, entry):
        """The last put counts."""
        assert tier.put_many({"a": entry(1), "b": entry(2)}) == {"a", "b"}
        assert tier.put_many({"a": entry(3)}) == {"a"}
        assert values(tier.get_many(["a", "b"])) == {"a": 3, "b": 2}
        assert tier.counters.puts == 3

    def test_a_put_too_large_removes_what_was_there(self, make_tier, entry):
        """The old value must not outlive a put that succeeded elsewhere."""
        tier = make_tier(max_size=1_000)
        tier.put_many({"a": entry(1), "b": entry(1)})
        assert tier.put_many({"a": entry("x" * 2_000), "b": entry(2)}) == {"b"}
        assert values(tier.get_many(["a", "b"])) == {"b": 2}

    def test_nothing_is_sent_of_what_cannot_be_encoded_as_a_whole(self, tier, entry):
        """A put fails before it has done half of its work."""
        tier.put_many({"a": entry(1)})
        with pytest.raises(EncodeError):
            tier.put_many({"a": entry(2), "b": entry(threading.Lock())})
        assert values(tier.get_many(["a", "b"])) == {"a": 1}

    @pytest.mark.parametrize("ttl", [math.inf, 1e300, 1e12])
    def test_entries_without_an_end_are_kept(self, tier, entry, ttl):
        """No ttl, however long, is more than the server can count."""
        tier.put_many({"a": entry(1, fresh=ttl, stale=ttl)})
        assert fill(tier, "b", entry(2, fresh=ttl, stale=ttl)) == {"b"}
        assert values(tier.get_many(["a", "b"])) == {"a": 1, "b": 2}

    def test_the_server_removes_an_entry_when_it_is_gone(self, tier, manager, entry):
        """Not when it is stale."""
        tier.put_many({"a": entry(1, fresh=60, stale=120)})
        fill(tier, "b", entry(1, fresh=60, stale=120))
        tier.put_many({"c": entry(1, fresh=math.inf, stale=math.inf)})
        assert 60_000 < manager.execute("PTTL", "gc:v:{app:a}") <= 120_000
        assert 60_000 < manager.execute("PTTL", "gc:v:{app:b}") <= 120_000
        assert manager.execute("PTTL", "gc:v:{app:c}") == -1

    def test_an_entry_that_is_already_gone_does_no_harm(self, tier, manager, entry, clock):
        """A life of no milliseconds is not an error of the server's, nor eternity."""
        late = entry(1, fresh=1, stale=1)
        clock.advance(2)
        tier.put_many({"k": late})
        assert tier.get_many(["k"]) == {}
        assert manager.execute("PTTL", "gc:v:{app:k}") != -1


class TestDropping:
    def test_a_drop_counts_entries_and_not_leases(self, tier, entry):
        """Leases are removed too, but nobody asked for them."""
        tier.put_many({"a": entry(1), "b": entry(2)})
        tier.reserve_many(["a", "c"])
        assert tier.drop_many(["a", "a", "b", "c", "d"]) == 2
        assert tier.get_many(["a", "b"]) == {}
        assert set(tier.reserve_many(["a", "c"])) == {"a", "c"}
        assert tier.counters.drops == 2

    def test_a_drop_removes_the_value_and_its_lease_in_one_step(self, make_tier, manager, entry):
        """Nobody can reserve between the two and fill what the drop then leaves."""
        spy = Spy(manager)
        tier = make_tier(through=spy)
        tier.put_many({"k": entry(1)})
        leases = tier.reserve_many(["k"])
        spy.called.clear()
        assert tier.drop_many(["k"]) == 1
        assert [name for name, *_ in spy.called] == ["run_script_many"]
        assert not manager.execute("EXISTS", "gc:v:{app:k}", "gc:l:{app:k}")
        assert fill(tier, "k", entry("old"), leases) == set()

    def test_a_load_that_begins_after_a_drop_is_never_refused_by_it(self, make_tier, entry):
        """However many drop and load at once: what was reserved after the last drop is stored."""
        dropping, loading, stop = make_tier(), make_tier(), threading.Event()
        refused_alone = []

        def load():
            while not stop.is_set():
                leases = loading.reserve_many(["k"])
                if leases:
                    loading.fill_many({"k": entry(1)}, leases)
            # Nobody drops any more.
            leases = loading.reserve_many(["k"])
            if fill(loading, "k", entry("last"), leases) != {"k"}:
                refused_alone.append(1)

        thread = threading.Thread(target=load)
        thread.start()
        for _ in range(300):
            dropping.drop_many(["k"])
        stop.set()
        thread.join(10)
        assert not refused_alone
        assert values(dropping.get_many(["k"])) == {"k": "last"}

    def test_many_drops_count_what_there_was(self, tier, entry):
        """Each key once, and none that was not there."""
        tier.put_many({f"k{number}": entry(number) for number in range(500)})
        assert tier.drop_many([*(f"k{number}" for number in range(500)), "k0", "missing"]) == 500

    def test_a_pattern_takes_what_matches_and_nothing_else(self, tier, make_tier, manager, entry):
        """Other namespaces, others' keys and stamps stay, and so does what only the server's glob finds."""
        for namespace in ("app", "app2", "ap", "App"):
            make_tier(namespace).put_many({"user:1": entry(1), "user:12": entry(2), "order:1": entry(3)})
        foreign = [
            "gc:v:{app:user:1",
            "gc:v:app:user:1}",
            "user:1",
            "gc:x:{app:user:1}",
            b"gc:v:{app:user:\xff}",
        ]
        for name in foreign:
            manager.execute("SET", name, "theirs")
        stamps = tier.read_stamps(["", "user:1"])
        assert tier.drop_matching(Pattern("user:?")) == 1
        assert set(tier.get_many(["user:1", "user:12", "order:1"])) == {"user:12", "order:1"}
        assert tier.drop_matching(Pattern("*")) == 2
        assert tier.counters.drops == 3
        for namespace in ("app2", "ap", "App"):
            assert len(make_tier(namespace).get_many(["user:1", "user:12", "order:1"])) == 3
        assert manager.execute("EXISTS", *foreign) == len(foreign)
        assert tier.read_stamps(["", "user:1"]) == stamps

    def test_a_pattern_voids_leases_of_keys_without_an_entry(self, tier, entry):
        """A load that is under way for a key that matches is not stored."""
        leases = tier.reserve_many(["user:1", "order:1"])
        assert tier.drop_matching(Pattern("user:*")) == 0
        assert tier.fill_many({"user:1": entry("old"), "order:1": entry(1)}, leases) == {"order:1"}

    def test_a_fill_during_the_scan_is_caught(self, make_tier, manager, entry):
        """A lease that becomes a value behind the scan's back is found as a value."""

        def fill_before_leases_are_seen(scan, match, **options):
            if match.startswith(b"gc:l:"):
                assert fill(other, "user:1", entry("old"), leases) == {"user:1"}
            return scan(match, **options)

        other = make_tier()
        leases = other.reserve_many(["user:1"])
        tier = make_tier(through=Spy(manager, scan=fill_before_leases_are_seen))
        assert tier.drop_matching(Pattern("user:*")) == 1
        assert other.get_many(["user:1"]) == {}

    def test_a_pattern_without_wildcards_scans_nothing(self, make_tier, manager, entry):
        """It is a key."""
        spy = Spy(manager)
        tier = make_tier(through=spy)
        tier.put_many({"a*": entry(1), "ab": entry(2)})
        assert tier.drop_matching(Pattern(Pattern.escape("a*"))) == 1
        assert "scan" not in [name for name, *_ in spy.called]
        assert set(tier.get_many(["a*", "ab"])) == {"ab"}

    def test_patterns_reach_thousands_of_keys(self, tier, entry):
        """No batch is forgotten."""
        tier.put_many({f"user:{number}": entry(number) for number in range(3_000)})
        tier.put_many({"order:1": entry(1)})
        assert tier.drop_matching(Pattern("user:*")) == 3_000
        assert tier.usage().entries == 1


class TestStrangeKeys:
    @pytest.mark.parametrize("key", STRANGE_KEYS)
    def test_any_text_is_a_key_and_nothing_but_a_key(self, tier, entry, key):
        """What users put into a key stays a key, in every command."""
        neighbours = [other for other in STRANGE_KEYS if other != key]
        tier.put_many({other: entry("neighbour") for other in neighbours})
        assert tier.get_many([key]) == {}
        assert fill(tier, key, entry("mine")) == {key}
        assert values(tier.get_many([key, "*"]))[key] == "mine"
        assert tier.drop_matching(Pattern(Pattern.escape(key) + "*")) >= 1
        tier.put_many({other: entry("neighbour") for other in neighbours})
        fill(tier, key, entry("again"))
        assert tier.drop_many([key]) == 1
        assert set(tier.get_many(neighbours)) == set(neighbours)

    def test_a_pattern_finds_strange_keys(self, tier, entry):
        """Escaped in the server, and still matched as they were written."""
        tier.put_many({key: entry(1) for key in STRANGE_KEYS})
        assert tier.drop_matching(Pattern("{?}")) == 1
        assert tier.drop_matching(Pattern("*\0*")) == 2
        assert tier.drop_matching(Pattern("*")) == len(STRANGE_KEYS) - 3


class TestStamps:
    def test_a_missing_stamp_is_created_once_for_all(self, redis_url, make_tier):
        """Processes that ask at the same moment agree."""
        managers = [RedisManager(redis_url) for _ in range(4)]
        tiers = [make_tier(through=manager) for manager in managers]
        tags = ["", "a", "{b}", "c\0", "*"]
        start = threading.Barrier(len(tiers))
        answers = []

        def ask(tier):
            start.wait(10)
            answers.append(tier.read_stamps(tags))

        threads = [threading.Thread(target=ask, args=(tier,)) for tier in tiers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        for manager in managers:
            manager.close()
        assert len(answers) == 4
        assert all(answer == answers[0] for answer in answers)
        assert set(answers[0]) == set(tags)
        assert len(set(answers[0].values())) == len(tags)

    def test_a_replaced_stamp_is_read_by_all(self, make_tier):
        """Only the stamps that were replaced change."""
        tier, other = make_tier(), make_tier()
        before = tier.read_stamps(["", "a", "b"])
        tier.replace_stamps({"a": "new", "c": "newer"})
        assert other.read_stamps(["", "a", "b", "c"]) == before | {"a": "new", "c": "newer"}

    def test_a_lost_stamp_is_replaced_by_another(self, tier, manager):
        """Loss forgets, it never brings the old stamp back."""
        before = tier.read_stamps(["", "a"])
        manager.execute("DEL", "gc:s:{app}:", "gc:s:{app}:a")
        after = tier.read_stamps(["", "a"])
        assert after[""] != before[""]
        assert after["a"] != before["a"]

    def test_a_missing_stamp_is_created_from_its_seed(self, tier, make_tier):
        """What is there is not asked for below, and what is not known there is new."""
        before = tier.read_stamps(["a"])
        asked = []

        def seed(tags):
            asked.extend(tags)
            return {"b": "from below"}

        stamps = tier.read_stamps(["a", "b", "c"], seed)
        assert asked == ["b", "c"]
        assert stamps["a"] == before["a"]
        assert stamps["b"] == "from below"
        assert stamps["c"]
        assert make_tier().read_stamps(["a", "b", "c"]) == stamps

    def test_stamps_of_namespaces_are_apart(self, make_tier):
        """Clearing one does not clear the other."""
        one, two = make_tier("one"), make_tier("two")
        before = two.read_stamps([""])
        one.replace_stamps({"": "new"})
        assert two.read_stamps([""]) == before

    def test_unused_tags_are_forgotten_some_day_and_the_namespace_is_not(self, tier, manager):
        """The stamps of millions of tags do not pile up."""
        tier.read_stamps(["", "a"])
        tier.replace_stamps({"b": "new"})
        month = 30 * 86_400_000
        assert 0 < manager.execute("PTTL", "gc:s:{app}:a") <= month
        assert 0 < manager.execute("PTTL", "gc:s:{app}:b") <= month
        assert manager.execute("PTTL", "gc:s:{app}:") == -1


class TestTheRest:
    def test_it_is_a_tier_and_a_store_of_stamps(self, tier):
        """It has what the protocols ask for."""
        as_tier: Tier = tier
        assert isinstance(tier, StampStore)
        assert (as_tier.name, as_tier.writable, as_tier.ttl) == (CacheTier.L3, True, 3600.0)

    def test_a_position_is_remembered_whatever_somebody_else_has_put_in_its_place(self, tier, manager):
        """A position that cannot be read is none."""
        assert tier.recall() is None
        manager.execute("RPUSH", "gc:n:{app}", "x")
        assert tier.recall() is None
        tier.remember(b"7-0 mark", None)
        assert tier.recall() == b"7-0 mark"

    def test_a_position_is_not_remembered_over_another_than_was_recalled(self, tier):
        """The server may have restarted meanwhile, with an old one that tells how old its data are."""
        tier.remember(b"7-0 mark", None)
        tier.remember(b"9-0 mark", b"8-0 mark")
        tier.remember(b"9-0 mark", None)
        assert tier.recall() == b"7-0 mark"
        tier.remember(b"9-0 mark", b"7-0 mark")
        assert tier.recall() == b"9-0 mark"

    def test_usage_counts_the_entries_of_the_namespace(self, tier, make_tier, entry):
        """Neither leases nor stamps nor other namespaces."""
        assert tier.usage() == TierUsage(0, 0)
        tier.put_many({"a": entry("x" * 100), "b": entry("y")})
        tier.reserve_many(["a", "c"])
        tier.read_stamps(["", "t"])
        make_tier("other").put_many({"a": entry(1)})
        usage = tier.usage()
        assert usage.entries == 2
        assert 200 < usage.size < 1_000

    def test_a_healthy_server_is_up(self, tier):
        """The check says how fast it answered."""
        health = tier.check()
        assert health.status is Status.UP
        assert health.latency_ms > 0
        assert health.error == ""

    def test_an_outage_is_one_error_and_a_finding_of_the_check(self, redis_servers, make_tier, entry):
        """Every method says the same, the check raises nothing."""
        server = redis_servers()
        manager = RedisManager(server.url)
        tier = make_tier(through=manager)
        tier.put_many({"k": entry(1)})
        server.kill()
        calls = [
            lambda: tier.get_many(["k"]),
            lambda: tier.get_many(["k", "l"]),
            lambda: tier.reserve_many(["k"]),
            lambda: tier.note_waiting(["k"]),
            lambda: tier.fill_many({"k": entry(1)}, {"k": "lease"}),
            lambda: tier.release_many({"k": "lease"}),
            lambda: tier.put_many({"k": entry(1)}),
            lambda: tier.drop_many(["k"]),
            lambda: tier.drop_matching(Pattern("*")),
            lambda: tier.read_stamps([""]),
            lambda: tier.replace_stamps({"": "new"}),
            tier.usage,
        ]
        for call in calls:
            with pytest.raises(TierUnavailableError):
                call()
        health = tier.check()
        assert health.status is Status.DOWN
        assert health.error
        tier.close()
        tier.close()


def test_a_server_that_does_not_say_who_it_is_is_not_asked_all_the_time(redis_servers, make_tier, clock):
    """Whoever hears of an invalidation asks for it, and must not wait for the server each time."""
    server = redis_servers()
    with RedisManager(server.url) as manager:
        spy = Spy(manager)
        tier = make_tier(through=spy)
        server.kill()
        assert [tier.identity() for _ in range(5)] == [""] * 5
        assert spy.called == [("check",)]
        server.start()
        assert tier.identity() == ""
        clock.advance(10)
        assert tier.identity()
        assert spy.called == [("check",)] * 2


def test_nobody_waits_while_another_asks_who_the_server_is(manager, make_tier):
    """Not to know it only costs work twice."""
    seen = []

    def check(method, **options):
        seen.append(tier.identity())
        return method(**options)

    tier = make_tier(through=Spy(manager, check=check))
    assert tier.identity()
    assert seen == [""]


def test_two_databases_of_one_server_are_two_places(redis_server, make_tier):
    """What one has been told to forget, the other still has to be told."""
    urls = [redis_server.database_url(number) for number in (1, 2)]
    with RedisManager(urls[0]) as first, RedisManager(urls[1]) as second:
        identities = {make_tier(through=manager).identity() for manager in (first, first, second)}
    assert len(identities) == 2
    assert all(identities)
