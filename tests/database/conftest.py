"""A database that loaders read, a replica of it, and caches over it."""

import contextlib

import psycopg
import pytest

from greencache import CacheManager
from greencache.testing import wait_until

NAMESPACE = "shop"
SETTINGS = {"autocommit": True, "options": "-c search_path=public"}
"""The tests' user is called as our schema is, and would find that first."""
READ = "select amount from factors where region = %s"


@pytest.fixture
def connect(postgres_url):
    """Open connections that are closed in the end."""
    with contextlib.ExitStack() as stack:

        def connect(url=postgres_url, **options):
            connection = psycopg.connect(url, **SETTINGS | options)
            stack.callback(connection.close)
            return connection

        yield connect


@pytest.fixture
def database(connect):
    """A connection as any SQL client has it, to a database with a table."""
    connection = connect()
    fill(connection)
    return connection


def fill(connection):
    """Make the table that is read."""
    connection.execute("create table factors (region text primary key, amount int)")
    connection.execute("insert into factors values ('DE', 1), ('FR', 1)")


@pytest.fixture
def new_cache(postgres_url):
    """Return caches over the database, as other processes have them."""
    with contextlib.ExitStack() as stack:

        def new_cache(url=postgres_url, **options):
            urls = {"l4": url, "namespace": NAMESPACE} | options
            return stack.enter_context(CacheManager.from_urls(**urls)).initialize(strict=True)

        yield new_cache


@pytest.fixture
def cache(new_cache, redis_url):
    """A cache with all kinds of tiers below L1."""
    return new_cache(l3=redis_url)


class Replicated:
    """A primary and its replica, and how far the replica has come.

    Args:
        primary: Its server.
        replica: Its server.
    """

    def __init__(self, primary, replica):
        self.primary = psycopg.connect(primary.url, **SETTINGS)
        self.replica = psycopg.connect(replica.url, **SETTINGS)
        self.url = primary.url
        self.replica_url = replica.url

    def pause(self):
        """Let the replica fall behind."""
        self.replica.execute("select pg_wal_replay_pause()")
        state = "select pg_get_wal_replay_pause_state()"
        wait_until(lambda: self.replica.execute(state).fetchone() == ("paused",), reason="the replica pauses")

    def catch_up(self):
        """Let it come as far as the primary is now."""
        # What is committed without being flushed is sent when something else is.
        self.primary.execute("create table if not exists nudge (x int)")
        self.primary.execute("insert into nudge values (1)")
        [now] = self.primary.execute("select pg_current_wal_insert_lsn()").fetchone()
        self.replica.execute("select pg_wal_replay_resume()")
        query = "select pg_last_wal_replay_lsn() >= %s::pg_lsn"
        wait_until(
            lambda: self.replica.execute(query, [now]).fetchone()[0], reason="the replica has caught up"
        )

    def close(self):
        """Close the connections."""
        self.primary.close()
        self.replica.close()


@pytest.fixture
def replicated(postgres_servers):
    """A primary with the table, and a replica that has it too."""
    primary = postgres_servers()
    with psycopg.connect(primary.url, **SETTINGS) as connection:
        fill(connection)
    replicated = Replicated(primary, postgres_servers(standby_of=primary))
    replicated.catch_up()
    yield replicated
    replicated.close()
