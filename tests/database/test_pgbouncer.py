"""Behind PgBouncer in transaction mode everything works but listening, and that is said."""

import concurrent.futures

import psycopg
import pytest

from greencache import MISSING, CacheConfig, CacheManager, TierUnavailableError, ViewSpec
from greencache.outbox.watcher import TableWatcher
from greencache.testing import wait_until
from tests.database import pgbouncer
from tests.database.conftest import NAMESPACE, READ

pytestmark = pytest.mark.skipif(
    not pgbouncer.program(), reason="no pgbouncer on the PATH (apt install pgbouncer)"
)


@pytest.fixture
def pooled_url(postgres_url):
    """The address of the database through PgBouncer."""
    with pgbouncer.pooled(postgres_url) as url:
        yield url


@pytest.fixture
def through(pooled_url):
    """Return caches behind PgBouncer."""
    made = []

    def through(*, views=(), **options):
        config = CacheConfig.from_urls(l4=pooled_url, namespace=NAMESPACE)
        settings = {"pooled": True, "poll_interval": 0.1} | options
        config = config.model_copy(update={"l4": config.l4.model_copy(update=settings)})
        made.append(CacheManager.from_config(config, views=views))
        return made[-1].initialize(strict=True)

    yield through
    for cache in made:
        cache.close()


def test_many_threads_get_what_they_have_stored(through):
    """Scenario 90: the connections of the pool are passed around between statements."""
    cache = through()

    def work(number):
        wrong = 0
        for turn in range(30):
            key = f"{number}:{turn}"
            cache.set(key, turn, tags=[str(number)])
            wrong += cache.get(key) != turn
            wrong += cache.get_or_load(f"loaded:{key}", lambda turn=turn: turn) != turn
            cache.delete(key)
            wrong += cache.get(key, MISSING) is not MISSING
        cache.invalidate(tags=[str(number)])
        return wrong

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(work, range(8))) == 0
    assert cache.get_stats()["L4"].errors == 0


def test_prepared_statements_are_what_it_takes(pooled_url):
    """Unless it is told, the first connection fails, and says what to set."""
    refused = pytest.raises(TierUnavailableError, match="behind PgBouncer, set pooled to true")
    with CacheManager.from_urls(l4=pooled_url) as cache, refused:
        cache.initialize(strict=True)


def test_the_database_is_polled_and_that_is_said(through, database, pooled_url):
    """Scenario 89: LISTEN hears nothing there, and a session's lock would be somebody else's."""
    with TableWatcher(pooled_url, namespace=NAMESPACE) as watcher:
        watcher.migrate()
        watcher.watch("public.factors", keys=["factor:{region}"])
        cache, other = through(), through()
        cache.set("factor:DE", 1)
        wait_until(lambda: outbox(cache)["is_polling"] or outbox(other)["is_polling"], reason="it polls")
        database.execute("update factors set amount = 2")
        wait_until(lambda: cache.get("factor:DE", MISSING) is MISSING, reason="it has heard")
        held = "select count(*) from pg_locks where locktype = 'advisory' and granted"
        wait_until(
            lambda: database.execute(held).fetchone() == (0,), reason="no lock outlasts its transaction"
        )
        assert watcher.unwatch("public.factors") == 1


def outbox(cache):
    """Return how a cache hears the database."""
    return cache.health_check()["L4"].detail["outbox"]


def test_loaders_and_transactions_work(through, database, pooled_url):
    """Positions are those of the one server behind it."""
    cache = through(listen=False)
    assert cache.get_or_load("factor:DE", lambda: cache.postgres.fetch(READ, ["DE"])[0][0]) == 1
    with psycopg.connect(pooled_url, prepare_threshold=None) as connection:
        with cache.transaction(connection) as transaction:
            connection.execute("update public.factors set amount = 2")
            transaction.invalidate("factor:DE")
        assert cache.get("factor:DE", MISSING) is MISSING
        with cache.postgres.connection(repeatable_read=True) as old:
            assert old.execute(READ, ["DE"]).fetchone() == (2,)
            database.execute("update factors set amount = 3")
            cache.invalidate("factor:DE")

            def load():
                with cache.postgres.reading(old):
                    return old.execute(READ, ["DE"]).fetchone()[0]

            assert cache.get_or_load("factor:DE", load) == 2
    assert cache.get("factor:DE", MISSING) is MISSING


def test_views_are_refreshed(through, database):
    """The lock that lets one process do it lasts for a transaction."""
    query = "select region, amount from public.factors"
    spec = ViewSpec(name="public.factor_view", template="factor:{region}", value="amount", query=query)
    cache = through(views=[spec])
    assert cache.get("factor:DE") == 1
    database.execute("update factors set amount = 2")
    cache.refresh_view("public.factor_view")
    wait_until(lambda: cache.get("factor:DE") == 2, reason="the view is read")
