"""What a database commits is forgotten by caches that hold it, in every tier and process."""

import contextlib

import psycopg
import pytest

from greencache import CacheManager, TableWatcher
from greencache.testing import wait_until

NAMESPACE = "fleet"
KEY, TAG = "factor:DE:co2", "region:DE"


@pytest.fixture
def database(postgres_url):
    """A connection as any SQL client has it, to a database with a watched table."""
    with psycopg.connect(postgres_url, autocommit=True, options="-c search_path=public") as connection:
        connection.execute("create table factors (region text, metric text, amount float8)")
        connection.execute("insert into factors values ('DE', 'co2', 1), ('FR', 'co2', 1)")
        with TableWatcher(postgres_url, namespace=NAMESPACE) as watcher:
            watcher.watch("factors", keys=["factor:{region}:{metric}"], tags=["region:{region}"])
        yield connection


@pytest.fixture
def load(database):
    """A loader that reads the table."""
    query = "select amount from factors where region = 'DE'"
    return lambda: database.execute(query).fetchone()[0]


def await_listener(*caches):
    """Wait until one of them listens."""

    def is_led():
        return any(cache._engine._outbox.state()["role"] == "leader" for cache in caches)

    wait_until(is_led, reason="one listens")


def test_every_process_forgets_what_sql_has_changed(deep_fleet, database, load):
    """By key and by tag, in L1 of every process, L2 of every host, L3, and the table."""
    caches = [deep_fleet.cache(), deep_fleet.cache(), deep_fleet.elsewhere()]
    await_listener(*caches)
    for cache in caches:
        assert cache.get_or_load(KEY, load) == 1
        assert cache.get_or_load("report", load, tags=[TAG]) == 1
        assert cache.get_or_load("other", lambda: 5, tags=["region:FR"]) == 5
    database.execute("update factors set amount = 2 where region = 'DE'")
    for cache in caches:
        for key in (KEY, "report"):
            wait_until(lambda cache=cache, key=key: cache.get(key) != 1, reason=f"{key} is forgotten")
        assert cache.get("other") == 5
    for cache in caches:
        assert cache.get_or_load(KEY, load) == 2
        assert cache.get_or_load("report", load, tags=[TAG]) == 2


def test_a_truncated_table_is_forgotten_as_a_whole(deep_fleet, database, load):
    """There is nobody left to ask which tags its rows had."""
    caches = [deep_fleet.cache(), deep_fleet.elsewhere()]
    await_listener(*caches)
    for cache in caches:
        assert cache.get_or_load("report", lambda: 7, tags=["region:XX"]) == 7
    database.execute("truncate factors")
    for cache in caches:
        wait_until(lambda cache=cache: cache.get("report") is None, reason="it is forgotten")


def test_postgresql_alone_is_enough(postgres_url, database, load):
    """Without Redis there is no bus: the others' L1 asks again after two seconds at most."""
    with contextlib.ExitStack() as stack:
        caches = [
            stack.enter_context(CacheManager.from_urls(l4=postgres_url, namespace=NAMESPACE))
            for _ in range(2)
        ]
        for cache in caches:
            assert cache.initialize(strict=True).get_or_load(KEY, load) == 1
        await_listener(*caches)
        database.execute("update factors set amount = 2")
        for cache in caches:
            wait_until(lambda cache=cache: cache.get_or_load(KEY, load) == 2, reason="it is forgotten")


def test_an_outage_of_redis_loses_no_change(redis_servers, postgres_url, database, load):
    """The rows stay until Redis has been told, though the process that has read them ends before."""
    server = redis_servers()
    urls = {"l3": server.url, "l4": postgres_url, "namespace": NAMESPACE}
    with CacheManager.from_urls(**urls) as first:
        first.initialize(strict=True)
        await_listener(first)
        assert first.get_or_load(KEY, load) == 1
        server.pause()
        try:
            database.execute("update factors set amount = 2")
            wait_until(lambda: first._engine._outbox.state()["owes"], deadline=30, reason="it is noticed")
            assert database.execute("select count(*) from greencache.outbox").fetchone() == (1,)
            # As a process that dies: what it has queued goes with it.
            first._engine._outbox.close()
            for guarded in first._engine.stack.shared:
                guarded._backlog.pending._queued.clear()
        finally:
            server.resume()
        assert database.execute("select count(*) from greencache.outbox").fetchone() == (1,)
        with CacheManager.from_urls(**urls) as second:
            second.initialize(strict=True)
            wait_until(lambda: second.get_or_load(KEY, load) == 2, reason="the successor has told Redis")
            empty = "select count(*) = 0 from greencache.outbox"
            wait_until(lambda: database.execute(empty).fetchone()[0], reason="the row is deleted")


def test_health_tells_how_well_the_database_is_heard(postgres_url, database):
    """Who leads, up to where, how late, and how long ago it looked."""
    with CacheManager.from_urls(l4=postgres_url, namespace=NAMESPACE) as cache:
        cache.initialize()
        await_listener(cache)
        outbox = cache.health_check()["L4"].detail["outbox"]
        assert outbox["role"] == "leader"
        assert outbox["lag"] == 0
        assert outbox["heard"] < 30
        assert not outbox["owes"]


def test_listening_can_be_switched_off(postgres_url, database):
    """In the configuration: no thread, no connection."""
    from greencache import CacheConfig

    config = CacheConfig.from_mapping({"l4": {"url": postgres_url, "listen": False}}, {})
    with CacheManager.from_config(config) as cache:
        cache.initialize(strict=True)
        assert "outbox" not in cache.health_check()["L4"].detail
