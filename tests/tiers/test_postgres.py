"""The key-value table of PostgreSQL as a tier."""

import math
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greencache.backends.postgres import PostgresManager
from greencache.clock import SystemClock
from greencache.codecs import Codec
from greencache.entry import Entry
from greencache.errors import TierUnavailableError
from greencache.events import NullRecorder
from greencache.keys import Pattern
from greencache.stats import TierCounters
from greencache.testing import wait_until
from greencache.tiers.base import StampStore, Status
from greencache.tiers.border import Border
from greencache.tiers.postgres import PostgresTier
from greencache.typing import CacheTier

NASTY = [
    "quote'", 'double"', "nul\0", "%", "_", "back\\slash", "brace}", "{brace", "%00", "%25", "ü漢字🦆", "$1",
    ":x", "'; drop table entries; --", "%s", "%(keys)s", "\\", "a\nb", " ", "≤1980",
]  # fmt: skip


@pytest.fixture
def make_tier(postgres_url):
    """Make tiers on one database, each with its own manager."""
    managers = []

    def make(namespace="test", *, max_size=1_000_000, **options):
        manager = PostgresManager(postgres_url, timeout=5)
        managers.append(manager)
        counters = TierCounters()
        clock = SystemClock()
        border = Border(
            CacheTier.L4,
            Codec(clock=clock),
            namespace=namespace,
            max_size=max_size,
            counters=counters,
            recorder=NullRecorder(),
        )
        return PostgresTier(manager, border, namespace=namespace, clock=clock, counters=counters, **options)

    yield make
    for manager in managers:
        manager.close()


@pytest.fixture
def tier(make_tier):
    """Return a tier on an empty database."""
    return make_tier()


@pytest.fixture
def execute(postgres_url):
    """Run SQL of the test's own."""
    manager = PostgresManager(postgres_url, timeout=5)
    yield manager.execute
    manager.close()


def entry(value, fresh=60.0, stale=120.0):
    """Return an entry that is fresh and then stale for some seconds from now."""
    now = SystemClock.now()
    return Entry(value, now + fresh, now + stale, created=SystemClock.wall())


def values(tier, *keys):
    """Return what the tier has under keys."""
    return {key: found.value for key, found in tier.get_many(keys).items()}


def held(tier, execute):
    """Return the number of rows, lone leases included."""
    return execute(b"select 1 from greencache.entries")


# -- entries -------------------------------------------------------------------------------------------


def test_what_was_put_is_found_by_another_process(make_tier):
    """Two managers share nothing but the database."""
    assert make_tier().put_many({"a": entry(1), "b": entry(None)}) == {"a", "b"}
    assert values(make_tier(), "a", "b", "c") == {"a": 1, "b": None}


def test_the_times_of_an_entry_come_back(tier):
    """Fresh, stale and due are in seconds of the reader's own clock."""
    before = entry("x", 30, 90)
    tier.put_many({"k": before})
    after = tier.get_many(["k"])["k"]
    assert after.fresh_until == pytest.approx(before.fresh_until, abs=1)
    assert after.stale_until == pytest.approx(before.stale_until, abs=1)


def test_an_entry_may_live_for_ever(tier):
    """Infinity, and what the server could not compute with, are no end at all."""
    tier.put_many({"inf": Entry(1, math.inf), "huge": entry(2, 1e300, 1e300)})
    assert values(tier, "inf", "huge") == {"inf": 1, "huge": 2}


def test_nothing_asked_is_nothing_done(tier):
    """Empty batches are answered."""
    assert tier.get_many([]) == tier.reserve_many([]) == {}
    assert tier.put_many({}) == tier.fill_many({}, {}) == set()
    assert tier.drop_many([]) == 0
    assert tier.read_stamps([]) == {}


def test_a_batch_may_be_larger_than_a_statement(tier):
    """Thousands of keys, in parts."""
    entries = {f"k{n}": entry(n) for n in range(2_500)}
    assert len(tier.put_many(entries)) == 2_500
    assert len(tier.get_many(entries)) == 2_500
    assert tier.drop_matching(Pattern("k*")) == 2_500


def test_no_key_becomes_sql(tier):
    """Whatever is in a key, it is a key, through every method."""
    for key in NASTY:
        tier.put_many({key: entry("mine"), "other": entry("theirs")})
        assert values(tier, key, "other") == {key: "mine", "other": "theirs"}
        assert tier.drop_matching(Pattern(Pattern.escape(key))) == 1
        lease = tier.reserve_many([key])
        assert set(lease) == {key}
        assert tier.fill_many({key: entry("filled")}, lease) == {key}
        assert tier.drop_matching(Pattern(Pattern.escape(key) + "*")) == 1
        assert values(tier, key, "other") == {"other": "theirs"}


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(keys=st.sets(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30), max_size=8))
def test_different_keys_are_different_rows(tier, keys):
    """By any text that may be a key."""
    tier.put_many({key: entry(key) for key in keys})
    assert values(tier, *keys) == {key: key for key in keys}
    assert tier.drop_many(keys) == len(keys)


def test_a_long_key_fits_the_index(tier):
    """1024 bytes that all grow in storage."""
    keys = ["%" * 1024, "{}%\0" * 256, "漢" * 341]
    tier.put_many({key: entry(key) for key in keys})
    assert set(tier.get_many(keys)) == set(keys)


def test_namespaces_are_apart(make_tier):
    """Neither reads, drops nor locks the other."""
    mine, theirs = make_tier("mine"), make_tier("theirs")
    mine.put_many({"k": entry(1)})
    theirs.put_many({"k": entry(2)})
    assert set(mine.reserve_many(["k"])) == set(theirs.reserve_many(["k"])) == {"k"}
    assert mine.drop_matching(Pattern("*")) == 1
    assert values(theirs, "k") == {"k": 2}
    assert mine.usage().entries == 0
    assert theirs.usage().entries == 1


def test_a_row_moved_to_another_key_is_no_entry(tier, execute):
    """The key is bound into the bytes."""
    tier.put_many({"a": entry(1)})
    execute(b"update greencache.entries set key = 'b'")
    assert values(tier, "a", "b") == {}
    assert tier.counters.undecodable == 1


def test_what_is_too_large_is_refused_and_what_was_there_removed(make_tier):
    """A put replaces, even by nothing; a fill gives its lease back."""
    tier = make_tier(max_size=500)
    tier.put_many({"k": entry("small")})
    assert tier.put_many({"k": entry("x" * 1000), "fits": entry(1)}) == {"fits"}
    assert values(tier, "k", "fits") == {"fits": 1}
    lease = tier.reserve_many(["k"])
    assert tier.fill_many({"k": entry("x" * 1000)}, lease) == set()
    assert set(tier.reserve_many(["k"])) == {"k"}
    assert tier.counters.refused_sizes == 2


def test_an_entry_ends_by_the_servers_clock(tier, execute):
    """Gone rows are invisible at once, and deleted by a sweep."""
    tier.put_many({"old": entry(1), "new": entry(2), "ever": Entry(3, math.inf)})
    execute(b"update greencache.entries set stale_until = now() - interval '1 s' where key = 'old'")
    assert values(tier, "old", "new", "ever") == {"new": 2, "ever": 3}
    assert tier.usage().entries == 2
    assert tier.sweep() == 1
    assert held(tier, execute) == 2
    assert tier.counters.expired == 1


def test_a_sweep_leaves_what_is_in_use(tier, execute, postgres_url):
    """Live leases, and rows that another session has locked, are passed over; lone ended leases go."""
    tier.put_many({"locked": entry(1), "leased": entry(2)})
    execute(b"update greencache.entries set stale_until = now() - interval '1 s'")
    tier.reserve_many(["leased", "lone"])
    execute(b"update greencache.entries set lease_until = now() - interval '1 s' where key = 'lone'")
    other = PostgresManager(postgres_url, timeout=5)
    with other.transaction() as session:
        session.fetch(b"select 1 from greencache.entries where key = 'locked' for update")
        assert tier.sweep() == 1
    other.close()
    assert tier.sweep() == 1
    assert held(tier, execute) == 1


def test_a_sweep_is_bounded(tier, execute):
    """So many rows and no more."""
    tier.put_many({f"k{n}": entry(n) for n in range(10)})
    execute(b"update greencache.entries set stale_until = now() - interval '1 s'")
    assert [tier.sweep(4), tier.sweep(4), tier.sweep(4), tier.sweep(4)] == [4, 4, 2, 0]


# -- patterns ------------------------------------------------------------------------------------------


def test_a_pattern_drops_what_it_matches_and_nothing_else(tier):
    """LIKE's own wildcards are literal, and `?` is one character even where it is three in storage."""
    keys = ["user:1", "user:22", "user:%", "user_1", "USER:1", "xuser:1"]
    tier.put_many({key: entry(key) for key in keys})
    assert tier.drop_matching(Pattern("user:?")) == 2
    assert set(values(tier, *keys)) == {"user:22", "user_1", "USER:1", "xuser:1"}


def test_a_pattern_voids_leases(tier):
    """Also those of keys that hold no value."""
    lease = tier.reserve_many(["user:1"])
    assert tier.drop_matching(Pattern("user:*")) == 0
    assert tier.fill_many({"user:1": entry("old")}, lease) == set()
    assert values(tier, "user:1") == {}


# -- leases --------------------------------------------------------------------------------------------


def test_a_lease_is_good_for_one_fill(tier):
    """Used up by storing."""
    lease = tier.reserve_many(["k"])
    assert tier.fill_many({"k": entry(1)}, lease) == {"k"}
    assert tier.fill_many({"k": entry(2)}, lease) == set()
    assert values(tier, "k") == {"k": 1}
    assert (tier.counters.fills, tier.counters.refused_fills) == (1, 1)


def test_one_process_gets_the_lease(make_tier):
    """The others get none until it ends."""
    assert set(make_tier().reserve_many(["a", "b"])) == {"a", "b"}
    assert set(make_tier().reserve_many(["b", "c"])) == {"c"}


def test_a_lease_is_given_beside_an_entry(tier):
    """The entry, stale perhaps, is served meanwhile."""
    tier.put_many({"k": entry("stale", 0, 60)})
    lease = tier.reserve_many(["k"])
    assert values(tier, "k") == {"k": "stale"}
    assert tier.fill_many({"k": entry("new")}, lease) == {"k"}
    assert values(tier, "k") == {"k": "new"}


def void_by_drop(tier, execute):
    """Delete the row."""
    tier.drop_many(["k"])


def void_by_put(tier, execute):
    """Write over it."""
    tier.put_many({"k": entry("put")})


def void_by_next_lease(tier, execute):
    """Let it end, and give the next one."""
    execute(b"update greencache.entries set lease_until = clock_timestamp() - interval '1 s'")
    assert tier.reserve_many(["k"])


def void_by_time(tier, execute):
    """Let it end."""
    execute(b"update greencache.entries set lease_until = clock_timestamp() - interval '1 s'")


def void_by_drop_and_new_lease(tier, execute):
    """Give the next one without its end."""
    tier.drop_many(["k"])
    assert tier.reserve_many(["k"])


def void_by_sweep(tier, execute):
    """Let it end, and clean up."""
    void_by_time(tier, execute)
    tier.sweep()


@pytest.mark.parametrize(
    "void",
    [void_by_drop, void_by_put, void_by_next_lease, void_by_time, void_by_drop_and_new_lease, void_by_sweep],
)
@pytest.mark.parametrize("beside_a_value", [False, True])
def test_a_void_lease_stores_nothing(tier, execute, void, beside_a_value):
    """Promise 3: a load that began before never brings the old value back."""
    if beside_a_value:
        tier.put_many({"k": entry("before")})
    lease = tier.reserve_many(["k"])
    void(tier, execute)
    assert tier.fill_many({"k": entry("too late")}, lease) == set()
    assert values(tier, "k").get("k") != "too late"


def test_in_a_batch_each_lease_counts_for_itself(tier):
    """Good ones store, void ones and missing ones do not."""
    leases = tier.reserve_many(["good", "dropped", "unleased"])
    tier.drop_many(["dropped"])
    del leases["unleased"]
    entries = {key: entry(key) for key in ("good", "dropped", "unleased")}
    assert tier.fill_many(entries, leases) == {"good"}
    assert values(tier, *entries) == {"good": "good"}


def test_a_lease_does_not_fill_another_key(tier):
    """The token belongs to its key."""
    leases = tier.reserve_many(["a", "b"])
    assert tier.fill_many({"a": entry(1)}, {"a": leases["b"]}) == set()


def test_a_released_lease_frees_the_key(tier, execute):
    """A lone one leaves no row; one beside a value leaves the value; another's stays."""
    tier.put_many({"value": entry(1)})
    leases = tier.reserve_many(["lone", "value"])
    tier.release_many({"lone": "not its token"})
    assert tier.reserve_many(["lone"]) == {}
    tier.release_many(leases)
    assert held(tier, execute) == 1
    assert values(tier, "value") == {"value": 1}
    assert set(tier.reserve_many(["lone", "value"])) == {"lone", "value"}


def test_a_lease_can_be_extended_while_it_is_good(tier, execute):
    """And not after."""
    leases = tier.reserve_many(["k", "ended"])
    execute(b"update greencache.entries set lease_until = now() - interval '1 s' where key = 'ended'")
    execute(b"update greencache.entries set lease_until = now() + interval '1 s' where key = 'k'")
    assert tier.extend_many(leases) == {"k"}
    assert execute(b"select 1 from greencache.entries where lease_until > now() + interval '4 s'") == 1


def test_a_fill_waits_for_a_drop_under_way(tier, postgres_url, execute):
    """And is refused by it, though its own snapshot still shows the lease."""
    leases = tier.reserve_many(["k"])
    other = PostgresManager(postgres_url, timeout=5)
    stored = []
    filling = threading.Thread(target=lambda: stored.append(tier.fill_many({"k": entry("old")}, leases)))
    with other.transaction() as session:
        query = tier._manager.statement("entries/drop")
        session.fetch(query, {"namespace": "test", "keys": ["k"]})
        filling.start()
        wait_until(lambda: waiting(execute), reason="the fill waits for the row")
    filling.join(10)
    other.close()
    assert stored == [set()]
    assert values(tier, "k") == {}


def test_a_drop_waits_for_a_fill_under_way(tier, postgres_url, execute):
    """And removes what it has stored, though its own snapshot shows the row before."""
    leases = tier.reserve_many(["k"])
    encoded = tier._border.encode_fill([("k", entry("old"))])
    other = PostgresManager(postgres_url, timeout=5)
    dropped = []
    dropping = threading.Thread(target=lambda: dropped.append(tier.drop_many(["k"])))
    with other.transaction() as session:
        columns = {"keys": ["k"], "values": [encoded["k"]], "leases": [leases["k"]], "seconds": [60.0]}
        rows = session.fetch(tier._manager.statement("entries/fill"), {"namespace": "test", **columns})
        assert rows == [("k",)]
        dropping.start()
        wait_until(lambda: waiting(execute), reason="the drop waits for the row")
    dropping.join(10)
    other.close()
    assert dropped == [1]
    assert values(tier, "k") == {}


def waiting(execute):
    """Return whether a session waits for another's lock in this database."""
    return execute(
        b"select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    )


def test_batches_in_any_order_do_not_deadlock(make_tier):
    """All lock in key order, whatever order their caller has."""
    keys = [f"k{number:03}" for number in range(60)]
    failures = []

    def work(tier, order):
        try:
            for _ in range(15):
                tier.put_many({key: entry(1) for key in order})
                leases = tier.reserve_many(order)
                tier.fill_many({key: entry(2) for key in order}, leases)
                tier.release_many(tier.reserve_many(order))
                tier.drop_many(order)
        except Exception as error:
            failures.append(error)

    tiers = [make_tier() for _ in range(4)]
    tiers[0].get_many(["x"])
    orders = [keys, keys[::-1], keys[30:] + keys[:30], keys[::2] + keys[1::2]]
    threads = [threading.Thread(target=work, args=pair) for pair in zip(tiers, orders, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


# -- stamps --------------------------------------------------------------------------------------------


def test_a_missing_stamp_is_created_once(make_tier):
    """All processes read the same one, also when they ask at once."""
    tiers = [make_tier() for _ in range(4)]
    tiers[0].get_many(["x"])
    barrier, answers = threading.Barrier(4), []

    def read(tier):
        barrier.wait(10)
        answers.append(tier.read_stamps(["", "tag", "tag"]))

    threads = [threading.Thread(target=read, args=[tier]) for tier in tiers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(answers) == 4
    assert all(answer == answers[0] for answer in answers)
    assert set(answers[0]) == {"", "tag"}


def test_a_replaced_stamp_is_current(tier):
    """Whether or not there was one; others stay."""
    assert isinstance(tier, StampStore)
    before = tier.read_stamps(["a", "b"])
    tier.replace_stamps({"a": "new", "c": "made"})
    assert tier.read_stamps(["a", "b", "c"]) == {"a": "new", "b": before["b"], "c": "made"}


def test_no_tag_becomes_sql(tier):
    """Whatever is in a tag, it is a tag."""
    tier.replace_stamps({tag: f"of {tag!r}" for tag in NASTY})
    assert tier.read_stamps(NASTY) == {tag: f"of {tag!r}" for tag in NASTY}


# -- outages -------------------------------------------------------------------------------------------


def test_a_dropped_table_is_an_outage_until_it_is_made_again(tier, execute):
    """The next call finds out and installs it."""
    tier.put_many({"k": entry(1)})
    execute(b"drop schema greencache cascade")
    with pytest.raises(TierUnavailableError):
        tier.get_many(["k"])
    assert tier.get_many(["k"]) == {}
    assert tier.put_many({"k": entry(2)}) == {"k"}


def test_health_says_what_the_server_says(tier):
    """Version, size and the pool's figures."""
    health = tier.check()
    assert health.status is Status.UP
    assert health.latency_ms > 0
    assert health.detail["version"]
    assert health.detail["pool_size"] == 1
