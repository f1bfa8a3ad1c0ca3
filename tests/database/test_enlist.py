"""What is changed and loaded with a transaction that its owner commits by himself."""

import psycopg
import pytest

from greencache import MISSING
from greencache.testing import wait_until
from tests.database.conftest import READ


@pytest.fixture
def connection(connect, database):
    """A connection that begins a transaction with its first statement."""
    return connect(autocommit=False)


@pytest.fixture
def deaf(new_cache, redis_url):
    """A cache that does not listen, so that nobody but who commits does what is announced."""
    return new_cache(l3=redis_url, outbox=None)


def amount(connection):
    """Return what a connection sees."""
    return connection.execute(READ, ["DE"]).fetchone()[0]


def test_what_is_loaded_with_it_is_not_stored(deaf, connection):
    """Of no key, named in it or not: it may be rolled back."""
    connection.execute("update factors set amount = 9")
    transaction = deaf.enlist(connection)
    assert transaction.get_or_load("sum", lambda: amount(connection)) == 9
    connection.rollback()
    assert deaf.get("sum", MISSING) is MISSING


def test_nothing_is_reloaded_with_it_in_the_background(deaf, connection):
    """What is due is left to whoever reloads it outside: what a loader sees here is not for others."""
    deaf.set("sum", 1, ttl=60, refresh_ahead=1e-9)
    connection.execute("update factors set amount = 9")
    transaction = deaf.enlist(connection)
    assert transaction.get_or_load("sum", lambda: amount(connection)) == 1
    assert deaf.get_or_load("sum", lambda: 2) == 1
    wait_until(lambda: deaf.get("sum") == 2, reason="the other one has reloaded it")
    assert deaf.get_stats().loads.loads == 1
    connection.rollback()


DROPS = {
    "key": lambda cache: cache.invalidate("k"),
    "tag": lambda cache: cache.invalidate(tags=["t"]),
    "pattern": lambda cache: cache.invalidate(pattern="k*"),
    "clear": lambda cache: cache.clear(),
}


@pytest.mark.parametrize("drop", DROPS)
def test_what_was_read_before_a_drop_and_enlisted_after_it_is_not_stored(drop, deaf, connection, database):
    """Of a READ COMMITTED transaction each statement sees something newer, so it matters when it began."""
    old = amount(connection)
    database.execute("update factors set amount = 2")
    DROPS[drop](deaf)
    transaction = deaf.enlist(connection)
    transaction.set("k", old, tags=["t"])
    transaction.set("other", 1)
    connection.commit()
    assert transaction.committed()
    assert deaf.get("k", MISSING) is MISSING
    assert deaf.get("other", MISSING) == (MISSING if drop == "clear" else 1)


def test_what_was_dropped_before_the_transaction_began_is_no_reason(deaf, connection):
    """It sees why that was."""
    deaf.invalidate("k")
    connection.execute("update factors set amount = 2")
    transaction = deaf.enlist(connection)
    transaction.set("k", 2)
    connection.commit()
    assert transaction.committed()
    assert deaf.get("k") == 2


def test_at_one_snapshot_only_what_that_does_not_see_is_a_reason(deaf, connection):
    """A REPEATABLE READ transaction reads nothing before its first statement, or later than that."""
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.execute("begin")
    deaf.invalidate("seen")
    assert amount(connection) == 1
    deaf.invalidate("unseen")
    transaction = deaf.enlist(connection)
    transaction.mset({"seen": 1, "unseen": 1})
    connection.commit()
    assert transaction.committed()
    assert deaf.mget(["seen", "unseen"]) == {"seen": 1}


def test_of_a_transaction_older_than_what_is_remembered_nothing_is_stored(new_cache, connection, database):
    """What was dropped since it began may have been deleted from the record."""
    deaf = new_cache(outbox=None)
    changes = deaf.postgres.witness._changes
    old = amount(connection)
    deaf.invalidate("k")
    changes.window = 0.001
    assert database.execute("select pg_sleep(0.002)")
    changes.trim()
    assert database.execute("select count(*) from greencache.changes").fetchone() == (0,)
    transaction = deaf.enlist(connection)
    transaction.set("k", old)
    connection.commit()
    assert transaction.committed()
    assert deaf.get("k", MISSING) is MISSING
