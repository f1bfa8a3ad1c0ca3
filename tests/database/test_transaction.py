"""What is changed with a transaction counts when that is committed, wherever this process is by then."""

import contextlib
import signal
import subprocess
import sys
import threading

import psycopg
import pytest
from psycopg.rows import dict_row, namedtuple_row, scalar_row

from greencache import MISSING, CacheManager, ConfigurationError, InvalidArgumentError, InvalidKeyError
from greencache.outbox.watcher import TableWatcher
from greencache.testing import wait_until
from tests.database.conftest import NAMESPACE, READ

VALUES = {"a": 1, "b": 1, "c": 1, "user:1": 1}
CHANGES = {
    "invalidate": (lambda tx: tx.invalidate("a", "b"), ["c", "user:1"]),
    "delete": (lambda tx: tx.delete("a"), ["b", "c", "user:1"]),
    "pattern": (lambda tx: tx.invalidate(pattern="user:*"), ["a", "b", "c"]),
    "tags": (lambda tx: tx.invalidate(tags=["t"]), []),
    "clear": (lambda tx: tx.clear(), []),
    "all at once": (lambda tx: tx.invalidate("a", pattern="u*", tags=["none"]), ["b", "c"]),
}


@pytest.fixture
def connection(connect, database):
    """A connection that begins a transaction with its first statement."""
    return connect(autocommit=False)


@pytest.fixture
def deaf(new_cache, redis_url):
    """A cache that does not listen, so that nobody but who commits does what is announced."""
    return new_cache(l3=redis_url, outbox=None)


@pytest.fixture
def filled(deaf):
    """Such a cache with something in it."""
    deaf.mset(VALUES, tags=["t"])
    return deaf


def left(database):
    """Return how many rows the outbox has."""
    return database.execute("select count(*) from greencache.outbox").fetchone()[0]


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_changed_counts_after_the_commit(change, filled, connection, database):
    """Not before; at once in this process; and nothing is left for others to do."""
    make, rest = CHANGES[change]
    with filled.transaction(connection) as transaction:
        make(transaction)
        assert filled.mget(VALUES) == VALUES
    assert sorted(filled.mget(VALUES)) == rest
    assert left(database) == 0


@pytest.mark.parametrize("error", [RuntimeError, psycopg.Rollback])
def test_what_is_rolled_back_does_not_count(error, filled, connection, database):
    """However that comes about."""
    with contextlib.suppress(RuntimeError), filled.transaction(connection) as transaction:
        connection.execute("update factors set amount = 9")
        transaction.invalidate("a", tags=["t"])
        transaction.set("b", 9)
        raise error
    assert filled.mget(VALUES) == VALUES
    assert left(database) == 0


def test_a_savepoint_that_is_rolled_back_takes_its_changes_with_it(filled, connection):
    """And nothing else; what was set in it is not stored."""
    with filled.transaction(connection) as transaction:
        transaction.invalidate("a")
        with connection.transaction():
            transaction.invalidate("b")
            transaction.set("user:1", 2)
            raise psycopg.Rollback
        transaction.set("c", 2)
    assert filled.mget(VALUES) == {"b": 1, "c": 2, "user:1": 1}


def test_what_is_set_is_stored_after_the_commit(filled, connection, new_cache, redis_url):
    """In every tier, for all processes; unless something later in the transaction forgets it."""
    other = new_cache(l3=redis_url, outbox=None)
    with filled.transaction(connection) as transaction:
        transaction.set("a", 2, ttl=60)
        transaction.mset({"b": 2, "c": 2, "user:1": 2}, tags=["u"])
        transaction.set("b", 3)
        transaction.delete("c")
        transaction.invalidate(pattern="user:*")
        assert filled.get("a") == 1
    assert filled.mget(VALUES) == {"a": 2, "b": 3}
    wait_until(lambda: other.mget(VALUES) == {"a": 2, "b": 3}, reason="the other process has heard")


def test_what_is_set_gives_way_to_what_was_dropped_meanwhile(filled, connection):
    """A change that this transaction has not seen; whoever reads next loads."""
    with filled.transaction(connection) as transaction:
        transaction.set("a", 2)
        transaction.set("b", 2)
        filled.invalidate("a")
    assert filled.mget(["a", "b"]) == {"b": 2}


def test_what_a_watched_table_announces_is_done_at_once(cache, connection, postgres_url):
    """Before the block is left, although another process may listen: the writer reads what it has written."""
    with TableWatcher(postgres_url, namespace=NAMESPACE) as watcher:
        watcher.watch("factors", keys=["factor:{region}"])
    cache.mset({"factor:DE": 1, "factor:FR": 1})
    with cache.transaction(connection):
        connection.execute("update factors set amount = 2 where region = 'DE'")
        assert cache.get("factor:DE") == 1
    assert cache.mget(["factor:DE", "factor:FR"]) == {"factor:FR": 1}


def test_many_keys_are_announced_in_parts(deaf, connection):
    """Thousands, in rows of bounded size."""
    keys = [f"k{number}" for number in range(2_500)]
    deaf.mset(dict.fromkeys(keys, 1))
    with deaf.transaction(connection) as transaction:
        transaction.invalidate(*keys)
        transaction.mset(dict.fromkeys(keys[:1_500], 2))
        [sizes] = connection.execute("select array_agg(size) from greencache.outbox").fetchone()
        assert sorted(sizes) == [500, 500, 1_000, 1_000, 1_000]
    assert deaf.mget(keys) == dict.fromkeys(keys[:1_500], 2)


def test_reads_within_see_no_cached_value_of_what_was_changed(filled, connection):
    """They load what the transaction itself sees, and store nothing; all else comes from the cache."""

    def load():
        return connection.execute(READ, ["DE"]).fetchone()[0]

    with filled.transaction(connection) as transaction:
        assert transaction.get("a") == 1
        connection.execute("update factors set amount = 9")
        transaction.invalidate("a", tags=["u"], pattern="user:*")
        filled.set("marked", 1, tags=["u"])
        for key in ["a", "user:1", "marked"]:
            assert transaction.get(key, MISSING) is MISSING
            assert transaction.get_or_load(key, load) == 9
        assert transaction.get_or_load("new", load, tags=["u"]) == 9
        assert transaction.get_or_load("c", load) == 1
        assert transaction.get_or_load("unknown", load) == 9
        assert filled.get_or_load("unknown too", load) == 9
        assert filled.mget(["unknown", "unknown too", "new"]) == {}
    assert filled.mget(["unknown", "unknown too", "new"]) == {}


def test_nobody_else_gets_what_is_loaded_in_a_transaction(cache, connection, connect):
    """Who has joined its load loads anew: it may be rolled back."""
    other, begun, joined, found = connect(), threading.Event(), threading.Event(), []

    def load():
        begun.set()
        assert joined.wait(10)
        return connection.execute(READ, ["DE"]).fetchone()[0]

    def follow():
        assert begun.wait(10)
        found.append(cache.get_or_load("k", lambda: other.execute(READ, ["DE"]).fetchone()[0]))

    thread = threading.Thread(target=follow)
    thread.start()
    waker = threading.Thread(target=lambda: (await_joined(cache), joined.set()))
    waker.start()
    with cache.transaction(connection):
        connection.execute("update factors set amount = 9")
        assert cache.get_or_load("k", load) == 9
        thread.join(10)
    waker.join(10)
    assert found == [1]


def await_joined(cache):
    """Wait until somebody has joined a load."""
    wait_until(lambda: cache.get_stats().loads.joined, reason="it has joined")


def test_a_process_that_dies_after_the_commit_loses_nothing(cache, database, postgres_url):
    """Killed between COMMIT and invalidation: whoever listens does it."""
    cache.mset({"factor:DE": 1, "factor:FR": 1, "other": 1})
    command = [sys.executable, "-m", "tests.database.dies_after_commit", postgres_url, NAMESPACE]
    died = subprocess.run(command, timeout=60, check=False, capture_output=True, text=True)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert database.execute(READ, ["DE"]).fetchone() == (2,)
    keys = ["factor:DE", "factor:FR", "other"]
    wait_until(lambda: cache.mget(keys) == {"other": 1}, reason="it is forgotten", deadline=30)
    wait_until(lambda: left(database) == 0, reason="nothing is left to do")


def test_a_tier_out_of_reach_is_told_by_whoever_listens(redis_servers, new_cache, connection, database):
    """The commit stands, and nothing is raised that could be taken for a failure of it."""
    redis = redis_servers()
    cache = new_cache(l3=redis.url)
    cache.set("a", 1)
    redis.pause()
    with cache.transaction(connection) as transaction:
        connection.execute("update factors set amount = 2")
        transaction.invalidate("a")
    assert left(database) == 1
    redis.resume()
    wait_until(lambda: left(database) == 0, reason="every tier has been told", deadline=30)
    assert cache.get("a", MISSING) is MISSING


def test_others_commit_by_themselves(filled, connection, database):
    """The way for Django, SQLAlchemy and psycopg2: after the commit, `committed()`; or a listener does it."""
    connection.execute("update factors set amount = 2")
    transaction = filled.enlist(connection)
    transaction.invalidate("a")
    transaction.set("b", 2)
    assert filled.mget(["a", "b"]) == {"a": 1, "b": 1}
    connection.commit()
    assert transaction.committed()
    assert filled.mget(["a", "b"]) == {"b": 2}
    transaction = filled.enlist(connection)
    transaction.invalidate("c")
    connection.rollback()
    assert transaction.committed()
    assert filled.get("c") == 1
    assert filled.enlist(connection).committed()


@pytest.mark.parametrize("make_row", [dict_row, namedtuple_row, scalar_row], ids=lambda each: each.__name__)
def test_a_connection_may_make_of_rows_what_it_likes(filled, connection, make_row):
    """Ours are none of its business."""
    connection.row_factory = make_row
    with filled.transaction(connection) as transaction:
        connection.execute("update factors set amount = 2")
        transaction.set("a", 2)
    assert filled.get("a") == 2
    connection.execute("update factors set amount = 3")
    transaction = filled.enlist(connection)
    transaction.invalidate("a")
    connection.commit()
    assert transaction.committed()
    assert filled.get("a", MISSING) is MISSING


def test_what_cannot_work_is_refused(cache, connect, connection, database):
    """Before anything is written, with the way out."""
    with pytest.raises(InvalidArgumentError, match=r"autocommit mode.* Begin a transaction first"):
        cache.enlist(database)
    connection.execute("select 1")
    with pytest.raises(InvalidArgumentError, match="that is INTRANS"), cache.transaction(connection):
        pass
    refused = pytest.raises(InvalidArgumentError, match="expected a psycopg 3 connection, got object")
    with refused, cache.transaction(object()):
        pass
    with pytest.raises(ConfigurationError, match="with PostgreSQL below it"):
        CacheManager().transaction(connection)
    connection.rollback()
    with cache.transaction(connection) as transaction:
        with pytest.raises(InvalidKeyError, match="without NUL"):
            transaction.invalidate("a\0b")
        with pytest.raises(InvalidKeyError):
            transaction.invalidate(tags="t")


def test_another_database_is_named_in_the_error(cache, postgres_server, connect):
    """Of the same server: its outbox is not there."""
    url = postgres_server.create_database()
    stranger = connect(url)
    with (
        pytest.raises(psycopg.errors.InvalidSchemaName) as caught,
        cache.transaction(stranger) as transaction,
    ):
        transaction.invalidate("a")
    assert "db migrate" in caught.value.__notes__[0]
    stranger.close()
    postgres_server.drop_database(url)
