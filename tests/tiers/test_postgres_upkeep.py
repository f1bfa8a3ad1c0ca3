"""The key-value table kept small, written in bulk, and made to survive crashes or not."""

import os
import threading

import psycopg
import pytest

from greencache import CacheConfig, CacheManager
from greencache.backends.postgres import PostgresManager
from greencache.backends.postgres_table import set_unlogged
from greencache.clock import SystemClock
from greencache.codecs import Codec
from greencache.entry import Entry
from greencache.errors import ConfigurationError, TierUnavailableError
from greencache.events import NullRecorder
from greencache.stats import TierCounters
from greencache.testing import wait_until
from greencache.tiers.border import Border
from greencache.tiers.postgres import PostgresTier
from greencache.typing import CacheTier

ALL = "select count(*) from greencache.entries"
OLD = """
update greencache.entries
set stale_until = now() - interval '1 s', lease_until = lease_until - interval '1 h'
"""


@pytest.fixture
def make_tier(postgres_url):
    """Make tiers on one table."""
    managers = []

    def make(namespace="test", url=postgres_url, **options):
        managers.append(PostgresManager(url, timeout=10))
        counters = TierCounters()
        border = Border(
            CacheTier.L4, Codec(clock=SystemClock()), namespace=namespace, max_size=10**7, counters=counters,
            recorder=NullRecorder(),
        )  # fmt: skip
        return PostgresTier(
            managers[-1], border, namespace=namespace, clock=SystemClock(), counters=counters, **options
        )

    yield make
    for manager in managers:
        manager.close()


@pytest.fixture
def database(postgres_url):
    """A connection to the database."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


def entries(count, size=10, ttl=None):
    """Return entries that compress badly."""
    until = SystemClock.now() + (10**6 if ttl is None else ttl)
    return {f"k{number:05}": Entry(os.urandom(size), until, until) for number in range(count)}


def count(database):
    """Return how many rows there are."""
    return database.execute(ALL).fetchone()[0]


# -- sweeping ------------------------------------------------------------------------------------------


def test_what_is_gone_is_deleted_once_in_an_interval(make_tier, database):
    """By one of all processes, however many ask; what lives and what is leased stays."""
    tiers = [make_tier(sweep_interval=3600) for _ in range(4)]
    tiers[0].put_many(entries(2500))
    database.execute(OLD)
    tiers[0].put_many({"lives": Entry(1, SystemClock.now() + 100, SystemClock.now() + 100)})
    tiers[0].reserve_many(["leased", "k00001"])
    waits = []
    threads = [threading.Thread(target=lambda t=t: waits.append(t.chores[0].attempt())) for t in tiers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(tier.counters.expired for tier in tiers) == [0, 0, 0, 2499]
    assert sorted(key for (key,) in database.execute("select key from greencache.entries")) == [
        "k00001", "leased", "lives",
    ]  # fmt: skip
    assert len(waits) == 4
    assert all(3500 < wait <= 3600 for wait in waits)
    database.execute(OLD)
    assert tiers[1].chores[0].attempt() < 3600
    assert count(database) == 3, "it is not time yet"
    database.execute("update greencache.chores set began = began - interval '1 h'")
    tiers[1].chores[0].attempt()
    assert count(database) == 0


def test_namespaces_are_swept_each_for_itself(make_tier, database):
    """Each by its own processes, since these know its limits."""
    one, other = make_tier("one", sweep_interval=60), make_tier("other", sweep_interval=60)
    for tier in (one, other):
        tier.put_many(entries(3))
    database.execute(OLD)
    one.chores[0].attempt()
    assert database.execute("select distinct namespace from greencache.entries").fetchall() == [("other",)]
    other.chores[0].attempt()
    assert count(database) == 0


def test_a_cache_sweeps_by_itself(postgres_url, database):
    """On a thread of its own, from its first call on."""
    config = CacheConfig(l1={"enabled": False}, l4={"url": postgres_url, "sweep_interval": "100ms"})
    with CacheManager.from_config(config) as cache:
        cache.mset({"a": 1, "b": 2})
        database.execute(OLD)
        wait_until(lambda: count(database) == 0, deadline=30, reason="it is swept")


# -- limits --------------------------------------------------------------------------------------------


def test_too_many_entries_are_evicted_those_first_that_go_first(make_tier, database):
    """And then the oldest; what is being loaded stays with its lease, and other namespaces are not asked."""
    tier = make_tier(max_entries=1000, sweep_interval=60)
    make_tier("other").put_many(entries(1500))
    # These never go; of them, the oldest are first.
    tier.put_many(entries(1500, ttl=1e12))
    soon = {f"soon{n}": Entry(1, SystemClock.now() + 50, SystemClock.now() + 50) for n in range(20)}
    tier.put_many(soon)
    [lease] = tier.reserve_many(["soon0"]).values()
    database.execute("update greencache.entries set updated = now() - interval '1 d' where key >= 'k01400'"
                     " and namespace = 'test' and key < 'k01450'")  # fmt: skip
    tier.chores[0].attempt()
    assert 900 < tier.usage().entries <= 1000
    left = {key for (key,) in database.execute("select key from greencache.entries where namespace = 'test'")}
    assert left & soon.keys() == {"soon0"}
    assert not {f"k{number:05}" for number in range(1400, 1450)} & left
    assert tier.fill_many({"soon0": soon["soon0"]}, {"soon0": lease}) == {"soon0"}
    assert tier.counters.count_evictions == tier.counters.evictions > 500
    assert make_tier("other").usage().entries == 1500


def test_too_many_bytes_are_evicted(make_tier):
    """Measured as stored, large values too."""
    tier = make_tier(size=1_000_000, sweep_interval=60)
    tier.put_many(entries(30, size=100_000))
    tier.chores[0].attempt()
    assert tier.usage().size <= 1_000_000
    assert tier.counters.evictions > tier.counters.count_evictions
    tier.drop_many(entries(30))
    tier.put_many(entries(100, size=1_000))
    assert tier._upkeep.evict() == 0


def test_an_eviction_brings_nothing_back(make_tier):
    """A load that was under way may fill what it reserved after it, and nothing else may."""
    tier = make_tier(max_entries=1, sweep_interval=60)
    old = tier.reserve_many(["k"])
    tier.put_many({"k": Entry("new", SystemClock.now() + 100, SystemClock.now() + 100), **entries(10)})
    tier.chores[0].attempt()
    assert tier.fill_many({"k": Entry("old", SystemClock.now() + 9, SystemClock.now() + 9)}, old) == set()


# -- bulk ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("number", "size"), [(12_000, 10), (3, 500_000)])
def test_many_or_large_entries_are_put_by_copy(make_tier, number, size):
    """They are all there, also over others, and void the leases on their keys."""
    tier = make_tier()
    given = entries(number, size)
    leases = tier.reserve_many(given)
    for _ in range(2):
        assert tier.put_many(given) == given.keys()
    assert {key: entry.value for key, entry in tier.get_many(given).items()} == {
        key: entry.value for key, entry in given.items()
    }
    assert tier.fill_many(given, leases) == set()
    assert tier._bulk._is_allowed


def test_texts_of_all_kinds_are_copied(make_tier):
    """No key is anything else than a key."""
    tier = make_tier()
    odd = [
        "tab\t",
        "line\nend",
        "\\N",
        "\\.",
        "'; drop table greencache.entries; --",
        "%s",
        "ü漢字🦆",
        "\0nul",
    ]
    far = SystemClock.now() + 1000
    given = entries(1500) | {key: Entry(repr(key), far, far) for key in odd}
    assert tier.put_many(given) == given.keys()
    assert {key: entry.value for key, entry in tier.get_many(odd).items()} == {key: repr(key) for key in odd}


def test_who_may_make_no_temporary_tables_puts_by_statements(make_tier, database, monkeypatch):
    """As ever, and without asking again."""
    tier = make_tier()
    monkeypatch.setattr(
        "greencache.backends.postgres_table._STAGE", b"create temporary table pg_catalog.no ()"
    )
    given = entries(1500)
    for _ in range(2):
        assert tier.put_many(given) == given.keys()
    assert (len(tier.get_many(given)), tier._bulk._is_allowed) == (1500, False)


def test_a_bulk_put_that_fails_stores_nothing_of_a_part(make_tier, database):
    """All rows of a transaction, or none."""
    tier = make_tier()
    tier.put_many(entries(1))
    database.execute("alter table greencache.entries add check (key <> 'k01499')")
    with pytest.raises(TierUnavailableError):
        tier.put_many(entries(1500))
    assert count(database) <= 1 + 1000


# -- surviving a crash ---------------------------------------------------------------------------------


def persistence(database):
    """Return how the tables are kept: permanent or unlogged."""
    query = "select relname, relpersistence from pg_class where relnamespace = 'greencache'::regnamespace"
    return dict(database.execute(query + " and relkind = 'r'").fetchall())


def test_the_table_is_made_unlogged_and_logged_again(make_tier, database):
    """With what is in it; once, and only if it is asked for. No other table is."""
    make_tier(unlogged=True).install()
    tier = make_tier()
    tier.install()
    tier.put_many(entries(5))
    kinds = persistence(database)
    assert {name for name, kind in kinds.items() if kind == "u"} == {"entries"}
    assert {"stamps", "view_drops", "outbox", "view_wishes", "view_refreshes"} <= kinds.keys()
    assert set_unlogged(tier._manager, is_unlogged=True) is False
    assert set_unlogged(tier._manager, is_unlogged=False) is True
    assert persistence(database)["entries"] == "p"
    assert len(tier.get_many(entries(5))) == 5


def test_a_table_in_use_is_not_waited_for_for_long(make_tier, database, postgres_url, monkeypatch):
    """Nor is anything changed then."""
    tier = make_tier(unlogged=True)
    tier._manager.ensure_schema()
    monkeypatch.setattr(
        "greencache.backends.postgres_table._LOCK_TIMEOUT", b"select set_config('lock_timeout', '50ms', true)"
    )
    with psycopg.connect(postgres_url) as reader:
        reader.execute(ALL)
        with pytest.raises((ConfigurationError, TierUnavailableError), match="lock timeout"):
            tier.install()
    assert persistence(database)["entries"] == "p"


@pytest.mark.parametrize("unlogged", [True, False])
def test_after_a_crash_nothing_comes_back(make_tier, postgres_servers, unlogged):
    """Unlogged, all entries and leases are gone, and a fill from before is refused; stamps stay."""
    server = postgres_servers()
    tier = make_tier(url=server.create_database(), unlogged=unlogged)
    tier.install()
    far = SystemClock.now() + 1000
    tier.put_many({"kept": Entry(1, far, far), "dropped": Entry("old", far, far)})
    stamps = tier.read_stamps(["tag"])
    lease = tier.reserve_many(["loading"])
    tier.drop_many(["dropped"])
    server.kill()
    server.start()
    wait_until(lambda: tier.check().status.value == "up", deadline=30, reason="it is back")
    assert set(tier.get_many(["kept", "dropped"])) == (set() if unlogged else {"kept"})
    assert tier.read_stamps(["tag"]) == stamps
    filled = tier.fill_many({"loading": Entry(2, far, far)}, lease)
    assert filled == (set() if unlogged else {"loading"})
    assert tier.put_many({"kept": Entry(3, far, far)}) == {"kept"}
