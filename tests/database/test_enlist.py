"""What is changed and loaded with a transaction that its owner commits by himself."""

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
    """What is due stays until somebody outside reloads it: on a thread the loader would not be known for private."""
    deaf.set("sum", 1, ttl=60, refresh_ahead=1e-9)
    connection.execute("update factors set amount = 9")
    transaction = deaf.enlist(connection)
    assert transaction.get_or_load("sum", lambda: amount(connection)) == 1
    assert deaf.get_or_load("sum", lambda: 2) == 1
    wait_until(lambda: deaf.get("sum") == 2, reason="the other one has reloaded it")
    assert deaf.get_stats().loads.loads == 1
    connection.rollback()
