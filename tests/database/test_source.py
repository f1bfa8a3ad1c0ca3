"""What is read at an old snapshot is served, and never stored over a newer drop."""

import threading

import psycopg
import pytest

from greencache import MISSING, CacheConfig, CacheManager, ConfigurationError, current_load
from greencache.outbox.watcher import TableWatcher
from greencache.testing import wait_until
from tests.database.conftest import NAMESPACE, READ

KEY = "factor:DE"


def set_for_a_moment(cache):
    """Store the new value for so short a time that it is gone."""
    cache.set(KEY, 2, ttl=0.001)
    wait_until(lambda: cache.get(KEY, MISSING) is MISSING, reason="it has expired")


DROPS = {
    "key": lambda cache: cache.invalidate(KEY),
    "delete": lambda cache: cache.delete(KEY),
    "tag": lambda cache: cache.invalidate(tags=["factors"]),
    "pattern": lambda cache: cache.invalidate(pattern="factor:*"),
    "pattern of one": lambda cache: cache.invalidate(pattern=KEY),
    "clear": lambda cache: cache.clear(),
    "set, and expired": set_for_a_moment,
}


def amount(connection):
    """Return what a connection sees."""
    return connection.execute(READ, ["DE"]).fetchone()[0]


def reading(cache, connection):
    """Return a loader that reads on a connection of the caller's own."""

    def load():
        with cache.postgres.reading(connection):
            return amount(connection)

    return load


@pytest.fixture
def old_reader(connect, database):
    """A connection whose transaction goes on seeing what is there now."""
    connection = connect(autocommit=False)
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    assert amount(connection) == 1
    return connection


@pytest.fixture(params=["table only", "redis"])
def any_cache(request, new_cache, redis_url):
    """A cache with PostgreSQL alone below L1, and one with Redis between."""
    return new_cache(l3=redis_url if request.param == "redis" else None)


@pytest.mark.parametrize("drop", DROPS)
def test_a_reader_with_an_old_snapshot_poisons_no_tier(drop, any_cache, database, old_reader):
    """It began before the commit, and loads after the invalidation: its lease is good, its value old."""
    database.execute("update factors set amount = 2")
    DROPS[drop](any_cache)
    assert any_cache.get_or_load(KEY, reading(any_cache, old_reader), tags=["factors"]) == 1
    assert any_cache.get(KEY, MISSING) is MISSING
    fresh = reading(any_cache, database)
    assert any_cache.get_or_load(KEY, fresh, tags=["factors"]) == 2
    assert any_cache.get(KEY) == 2


def test_without_its_position_it_does(cache, database, old_reader):
    """What the promise is worth: the same reader, unmarked."""
    database.execute("update factors set amount = 2")
    cache.invalidate(KEY)
    cache.get_or_load(KEY, lambda: amount(old_reader))
    assert cache.get(KEY) == 1


def test_what_was_not_dropped_is_stored(cache, database, old_reader):
    """However old the snapshot: other keys and tags are no reason, nor what was dropped before it."""
    cache.invalidate("factor:FR", tags=["others"])
    database.execute("update factors set amount = 2")
    cache.get_or_load(KEY, reading(cache, old_reader), tags=["factors"])
    assert cache.get(KEY) == 1
    cache.invalidate(KEY)
    old_reader.rollback()
    old_reader.execute("select")
    cache.get_or_load(KEY, reading(cache, old_reader))
    assert cache.get(KEY) == 2


def test_a_change_in_a_table_counts_as_well(cache, database, old_reader, postgres_url):
    """By whatever program: this is an ordinary connection."""
    with TableWatcher(postgres_url, namespace=NAMESPACE) as watcher:
        watcher.watch("factors", keys=["factor:{region}"])
    cache.set(KEY, 1)
    wait_until(lambda: cache.health_check()["L4"].detail["outbox"]["role"] == "leader", reason="it listens")
    database.execute("update factors set amount = 2")
    wait_until(lambda: cache.get(KEY, MISSING) is MISSING, reason="it is dropped")
    assert cache.get_or_load(KEY, reading(cache, old_reader)) == 1
    assert cache.get(KEY, MISSING) is MISSING
    assert cache.get_or_load(KEY, reading(cache, database)) == 2
    assert cache.get(KEY) == 2


def test_a_batch_stores_what_is_new_enough(cache, database, old_reader):
    """Each key by its own names; tags that the loader adds count."""
    database.execute("update factors set amount = 2")
    cache.invalidate("a", tags=["late"])

    def load(keys):
        with cache.postgres.reading(old_reader):
            current_load().of("b").tags.add("late")
            return dict.fromkeys(keys, amount(old_reader))

    assert cache.get_or_load_many(["a", "b", "c"], load) == {"a": 1, "b": 1, "c": 1}
    assert cache.mget(["a", "b", "c"]) == {"c": 1}


def test_a_load_around_a_load_reads_where_that_one_does(cache, database, old_reader):
    """What the inner one finds becomes a part of the outer value."""
    database.execute("update factors set amount = 2")
    cache.invalidate("sum")
    assert cache.get_or_load("sum", lambda: cache.get_or_load(KEY, reading(cache, old_reader)) + 10) == 11
    assert cache.get(KEY) == 1
    assert cache.get("sum", MISSING) is MISSING


def test_a_reload_in_the_background_is_no_exception(cache, database, old_reader):
    """What is due is not replaced by what is older."""
    database.execute("update factors set amount = 2")
    cache.set(KEY, 2, ttl=60, refresh_ahead=1e-9)
    assert cache.get_or_load(KEY, reading(cache, old_reader)) == 2
    wait_until(lambda: cache.get_stats().loads.loads == 1, reason="it is reloaded")
    wait_until(lambda: not cache._engine.reader._reloading, reason="that is done")
    assert cache.get(KEY) == 2


@pytest.mark.parametrize("is_declined", [False, True])
def test_the_caller_of_another_transaction_gets_a_value_of_its_own(cache, database, old_reader, is_declined):
    """Who has joined an old reader's load does not get what is refused to all others: it loads."""
    database.execute("update factors set amount = 2")
    cache.invalidate(KEY)
    begun, joined = threading.Event(), threading.Event()

    def load():
        begun.set()
        assert joined.wait(10)
        current_load().is_declined = is_declined
        return reading(cache, old_reader)()

    found = []
    old = threading.Thread(target=lambda: found.append(cache.get_or_load(KEY, load)))
    new = threading.Thread(target=lambda: found.append(cache.get_or_load(KEY, reading(cache, database))))
    old.start()
    assert begun.wait(10)
    joins = cache.get_stats().loads.joined
    new.start()
    wait_until(lambda: cache.get_stats().loads.joined > joins, reason="it has joined")
    joined.set()
    old.join(10)
    new.join(10)
    assert sorted(found) == [1, 2]
    assert cache.get(KEY) == 2


def test_what_is_not_committed_is_for_the_caller_alone(cache, connect, database):
    """A transaction that has changed something may still be rolled back."""
    connection = connect(autocommit=False)
    connection.execute("update factors set amount = 9")
    assert cache.get_or_load(KEY, reading(cache, connection)) == 9
    connection.rollback()
    assert cache.get(KEY, MISSING) is MISSING
    assert cache.get_or_load(KEY, reading(cache, connection)) == 1
    assert cache.get(KEY) == 1


def test_connections_of_the_cache_are_marked_too(cache, database):
    """Each block is one transaction, at one snapshot if that is wanted."""

    def load():
        with cache.postgres.connection(repeatable_read=True) as connection:
            assert amount(connection) == 1
            database.execute("update factors set amount = 2")
            cache.invalidate("twice")
            return [amount(connection), cache.postgres.fetch(READ, ["DE"])[0][0]]

    assert cache.get_or_load("twice", load) == [1, 2]
    assert cache.get("twice", MISSING) is MISSING
    assert cache.get_or_load(KEY, lambda: cache.postgres.fetch(READ, ["DE"])[0][0]) == 2
    assert cache.get(KEY) == 2


def test_errors_of_the_driver_are_the_loaders_own(cache):
    """Nothing is translated: a loader's error reaches its caller unchanged."""
    with pytest.raises(psycopg.errors.UndefinedTable):
        cache.get_or_load(KEY, lambda: cache.postgres.fetch("select * from nothing"))
    with pytest.raises(psycopg.errors.DivisionByZero), cache.postgres.connection() as connection:
        connection.execute("select 1 / 0")
    assert cache.postgres.fetch("select 1") == [(1,)]


def test_outside_of_a_load_it_is_a_connection_as_any(cache, database):
    """There is nothing to mark."""
    assert cache.postgres.fetch(READ, ["DE"]) == [(1,)]
    with cache.postgres.reading(database) as connection:
        assert amount(connection) == 1


def test_another_cluster_is_refused(cache, postgres_servers):
    """Its transactions have other numbers."""
    refused = pytest.raises(ConfigurationError, match="cluster of databases that L4 is in")
    with psycopg.connect(postgres_servers().url) as stranger, refused:
        cache.get_or_load(KEY, reading(cache, stranger))


def test_a_cache_without_a_database_says_so():
    """Instead of an attribute that is None."""
    with pytest.raises(ConfigurationError, match="with PostgreSQL below it"):
        _ = CacheManager().postgres


@pytest.fixture
def forgetful(postgres_url):
    """A cache that remembers for a millisecond what it has dropped."""
    config = CacheConfig.from_urls(l4=postgres_url, namespace=NAMESPACE)
    config = config.model_copy(update={"l4": config.l4.model_copy(update={"snapshot_window": 0.001})})
    with CacheManager.from_config(config) as cache:
        yield cache


def test_what_cannot_be_told_is_not_stored(forgetful, database, connect, old_reader):
    """A snapshot from before what was forgotten; not one that merely sees a long transaction run."""
    writer = connect(autocommit=False)
    writer.execute("update factors set amount = 3 where region = 'FR'")
    forgetful.invalidate("another")
    wait_until(lambda: trimmed(forgetful, database), reason="what is too old is forgotten")
    forgetful.get_or_load(KEY, reading(forgetful, old_reader))
    assert forgetful.get(KEY, MISSING) is MISSING
    forgetful.get_or_load(KEY, reading(forgetful, database))
    assert forgetful.get(KEY) == 1
    writer.rollback()


def trimmed(cache, database):
    """Trim, and return whether nothing is left."""
    cache.postgres.witness._changes.trim()
    return database.execute("select count(*) from greencache.changes").fetchone() == (0,)


@pytest.mark.parametrize("isolation", ["READ_COMMITTED", "REPEATABLE_READ"])
def test_a_replica_that_lags_poisons_no_tier(isolation, replicated, new_cache, redis_url):
    """Until it has replayed the change; a transaction on the primary that is still open is no hindrance."""
    cache = new_cache(replicated.url, l3=redis_url)
    replicated.replica.isolation_level = psycopg.IsolationLevel[isolation]
    replicated.pause()
    replicated.primary.execute("update factors set amount = 2")
    cache.invalidate(KEY)
    assert cache.get_or_load(KEY, reading(cache, replicated.replica)) == 1
    assert cache.get(KEY, MISSING) is MISSING
    replicated.catch_up()
    assert cache.get_or_load(KEY, reading(cache, replicated.replica)) == 2
    assert cache.get(KEY) == 2
