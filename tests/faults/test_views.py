"""Materialized views under faults: refreshed once, never in the way of readers, never without end."""

import contextlib
import itertools
import os
import signal
import statistics
import threading
import time

import psycopg
import pytest

from greencache import CacheConfig, CacheManager, RefreshPolicy, ViewSpec
from greencache.errors import TierUnavailableError
from greencache.testing import wait_until
from tests.faults.view_client import INTERVAL, QUERY, ViewClient

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

ROWS = 2_000
OURS = "application_name = 'greencache'"
HISTORY = """
select began, seconds from greencache.view_history
where view = %s and error = '' and id > %s order by id
"""


class Facts:
    """A database with a source, and caches that read views of it.

    Args:
        server: The database's.
        stack: Closes what was made.
    """

    def __init__(self, server, stack):
        self._stack = stack
        self.server = server
        url = server.create_database()
        stack.callback(server.drop_database, url)
        # The tests' user is called as our schema is, and would find that first.
        self.url = url + "?options=-csearch_path%3Dpublic"
        self.database = self.connect()
        self.database.execute("create table facts (id int primary key, value bigint)")
        self.database.execute("insert into facts select n, 0 from generate_series(1, %s) as n", [ROWS])

    def connect(self, **options):
        """Return a connection as any SQL client has it."""
        return self._stack.enter_context(psycopg.connect(self.url, **{"autocommit": True} | options))

    def cache(self, *views, has_l1=False, **l4):
        """Return a cache over views; calls of PostgreSQL end after a second."""
        limits = {"url": self.url, "timeout": "1s", "deadline": "1s"} | l4
        config = CacheConfig(namespace="views", l1={"enabled": has_l1, "ttl": "1h"}, l4=limits)
        cache = self._stack.enter_context(CacheManager.from_config(config, views=views))
        return cache.initialize(strict=True)

    def client(self, namespace):
        """Start a process that keeps the views fresh."""
        client = ViewClient(self.url, namespace)
        self._stack.callback(client.kill)
        return client

    def ask(self, query, *parameters):
        """Return the first column of the first row."""
        return self.database.execute(query, parameters).fetchone()[0]

    def change(self):
        """Change all rows."""
        self.database.execute("update facts set value = value + 1")


@pytest.fixture
def facts(postgres_server):
    """A source."""
    with contextlib.ExitStack() as stack:
        yield Facts(postgres_server, stack)


@pytest.fixture
def own_facts(postgres_servers):
    """A source on a server of its own, which can be stopped."""
    with contextlib.ExitStack() as stack:
        yield Facts(postgres_servers(), stack)


def view(query=QUERY, **options):
    """Return a view of the source."""
    return ViewSpec(name="fact_view", template="fact:{id}", value="value", query=query, **options)


def longest(cache, keys, is_over):
    """Read until it is over, and return the milliseconds of the longest read and the number of reads."""
    times = []
    while not is_over():
        started = time.perf_counter()
        assert len(cache.mget(keys)) == len(keys)
        times.append((time.perf_counter() - started) * 1000)
    return max(times), len(times)


def test_two_fleets_refresh_once(facts, figure, is_long):
    """Each change once, and each interval once, whoever of all processes does it."""
    count = 4 if is_long else 2
    clients = [facts.client(namespace) for namespace in ("one", "other") for _ in range(count)]
    for client in clients:
        client.await_ready()
    started = facts.ask("select max(id) from greencache.view_history")
    changes = 20 if is_long else 6
    waiting = "select count(*) from greencache.view_wishes"
    for _ in range(changes):
        facts.change()
        wait_until(lambda: facts.ask(waiting) == 0, deadline=60, reason="the view is refreshed")
    by_change = facts.database.execute(HISTORY, ["public.by_change", started]).fetchall()
    begun = [began for began, _ in facts.database.execute(HISTORY, ["public.by_time", started])]
    early = [b - a for a, b in itertools.pairwise(begun) if (b - a).total_seconds() < INTERVAL]
    processes = f"of {2 * count} processes"
    figure(87, f"refreshes {processes}", len(by_change) + len(begun))
    duplicates = len(by_change) - changes + len(early)
    figure(87, f"duplicate refreshes {processes}", duplicates, "", "== 0", changes=changes)
    keys = [f"{view}:{number}" for view in ("change", "time") for number in (1, ROWS)]
    for client in clients:
        wait_until(
            lambda client=client: set(client.read(keys).values()) == {changes},
            deadline=30,
            reason="every process of both fleets reads the last change",
        )


def test_a_stop_at_once_in_the_middle_of_a_refresh(own_facts, figure):
    """The old contents stay, are read soon after the start, and the refresh is made up for."""
    own_facts.database.execute("create table pace (seconds float8)")
    own_facts.database.execute("insert into pace values (0)")
    # One sleep for the whole query, as long as the table says.
    slow = (
        f"select f.* from ({QUERY}) as f, (select pg_sleep(seconds) is null as x from pace) as p where not x"
    )
    cache = own_facts.cache(view(slow, refresh=RefreshPolicy(on=["facts"])))
    assert cache.get("fact:1") == 0
    own_facts.database.execute("update pace set seconds = 30")
    own_facts.change()
    running = """
    select count(*) from pg_stat_activity where query like 'refresh materialized view%%' and state = 'active'
    """
    wait_until(lambda: own_facts.ask(running) == 1, deadline=30, reason="it is being refreshed")
    os.kill(own_facts.server.pid, signal.SIGQUIT)
    wait_until(lambda: not own_facts.server.is_running, deadline=30, reason="it has stopped")
    assert cache.get("fact:1") is None, "a miss, not an error"
    own_facts.server.start()
    started = time.monotonic()
    wait_until(lambda: cache.get("fact:1") == 0, deadline=30, reason="the old contents are read")
    figure(82, "view read after the start", time.monotonic() - started, "s", "<= 1")
    own_facts.connect().execute("update public.pace set seconds = 0")
    wait_until(lambda: cache.get("fact:1") == 1, deadline=60, reason="the refresh is made up for")


def backends(facts):
    """Return the processes of the caches' connections."""
    query = "select pid from pg_stat_activity where " + OURS
    return [pid for (pid,) in facts.database.execute(query)]


def test_a_backend_that_hangs(own_facts, figure):
    """The call ends at its deadline, and is loaded; the next ones have another connection."""
    cache = own_facts.cache(view())
    manager = cache._engine.stack.shared[0].tier._manager
    assert cache.get("fact:1") == 0
    stopped = backends(own_facts)
    try:
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        times = []
        for number in range(4):
            started = time.monotonic()
            assert cache.get_or_load(f"fact:{number + 1}", lambda: "loaded") in (0, "loaded")
            times.append(time.monotonic() - started)
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    # A miss asks the view, then the table for a lease, then fills: each within the deadline.
    figure(83, "worst call", max(times), "s", f"<= {3 * manager.timeout + 1:g}", all=times)
    wait_until(lambda: cache.get("fact:1") == 0, deadline=30, reason="the view is read again")


def test_all_connections_are_ended(own_facts, figure, is_long):
    """No reader notices, with many at work."""
    cache = own_facts.cache(view(), timeout="5s", deadline="5s")
    keys = [f"fact:{number}" for number in range(1, 50)]
    missed, is_over = [], threading.Event()

    def read():
        while not is_over.is_set():
            found = cache.mget(keys)
            if len(found) < len(keys):
                missed.append(len(found))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    ended = 0
    for _ in range(20 if is_long else 5):
        is_over.wait(0.2)
        ended += own_facts.ask("select count(pg_terminate_backend(pid)) from pg_stat_activity where " + OURS)
    is_over.set()
    for thread in threads:
        thread.join(30)
    figure(84, "connections ended", ended, "", ">= 1")
    figure(84, "reads that missed", len(missed), "", "== 0")


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("drop materialized view fact_view", "got none of that name"),
        ("drop index {index}", "expected a unique index"),
        ("refresh materialized view fact_view with no data", "expected fact_view to be populated"),
        (
            "drop materialized view fact_view; create view fact_view as select 1 as id",
            "another kind of relation",
        ),
        ("drop materialized view fact_view; create materialized view fact_view as select 1 as id", "value"),
    ],
)
def test_a_view_that_is_not_as_described_is_said_at_the_start(facts, figure, statement, problem):
    """By an error with its reason; without strict, by the health, and reads are misses."""
    facts.cache(view())
    index = facts.ask("select indexname from pg_indexes where tablename = 'fact_view'")
    facts.database.execute(statement.format(index=index))
    mine = ViewSpec(name="fact_view", template="fact:{id}", value="value")
    with CacheManager.from_urls(l1=None, l4=facts.url, views=[mine]) as cache:
        with pytest.raises(TierUnavailableError, match="fact_view"):
            cache.initialize(strict=True)
        assert problem in cache.health_check()["L4"].error
        assert cache.get("fact:1") is None
    figure(85, "said at the start", 1, "", "== 1")


def test_a_refresh_that_waits_for_a_lock_is_in_nobodys_way(facts, figure):
    """It gives up, and readers read; it is tried again when the lock is free."""
    policy = RefreshPolicy(on=["facts"], lock_timeout=3)
    cache = facts.cache(view(refresh=policy))
    keys = [f"fact:{number}" for number in range(1, 20)]
    cache.mget(keys)
    with facts.connect(autocommit=False) as idle:
        # What another refresh holds that nobody ends.
        idle.execute("refresh materialized view concurrently fact_view")
        facts.change()
        failed = "select count(*) from greencache.view_refreshes where failures > 0"
        worst, reads = longest(cache, keys, lambda: facts.ask(failed) == 1)
        error = facts.ask("select error from greencache.view_refreshes where view = 'public.fact_view'")
        assert "lock timeout" in error
    figure(86, "longest read meanwhile", worst, "ms", "<= 1000", reads=reads)
    wait_until(lambda: cache.get("fact:1") == 1, deadline=60, reason="it is refreshed when the lock is free")


def test_many_refreshes_leave_a_view_of_bounded_size(facts, figure, is_long):
    """Replaced rows are removed as they come; what keeps them from being removed is said."""
    cache = facts.cache(view())
    size = "select pg_total_relation_size('fact_view')"
    before = facts.ask(size)
    rounds = 120 if is_long else 30
    for _ in range(rounds):
        facts.change()
        assert cache.refresh_view("fact_view")
    after = facts.ask(size)
    figure(88, "view size", after / 1e6, "MB", rounds=rounds, before=before / 1e6)
    figure(88, "grown by a factor of", after / before, "", "<= 4", rounds=rounds)
    with facts.connect(autocommit=False) as idle:
        idle.execute("set transaction isolation level repeatable read")
        idle.execute("select count(*) from fact_view")
        for _ in range(8):
            facts.change()
            cache.refresh_view("fact_view")
        wait_until(
            lambda: "dead rows" in str(cache.health_check().as_dict()), deadline=30, reason="it is said"
        )
    figure(88, "bloat is said", 1, "", "== 1")


def test_an_exhausted_pool_costs_l1_nothing(facts, figure):
    """What is in L1 is hit as ever; what is not is loaded within the deadline."""
    cache = facts.cache(view(), has_l1=True, max_connections=4)
    manager = cache._engine.stack.shared[0].tier._manager
    keys = [f"fact:{number}" for number in range(1, 50)]
    cache.mget(keys)
    assert cache.get("fact:1") == 0
    is_over = threading.Event()

    def sleep():
        while not is_over.is_set():
            with contextlib.suppress(TierUnavailableError):
                manager.fetch(b"select pg_sleep(0.9)")

    threads = [threading.Thread(target=sleep) for _ in range(12)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: manager.check().pool_in_use >= 4 or not manager.breaker.allow(), deadline=60,
                   reason="the pool is exhausted")  # fmt: skip
        times = []
        for _ in range(2_000):
            started = time.perf_counter()
            cache.get("fact:1")
            times.append((time.perf_counter() - started) * 1e6)
        started = time.monotonic()
        assert cache.get_or_load("fact:1999", lambda: "loaded") in (0, "loaded")
        worst = time.monotonic() - started
    finally:
        is_over.set()
        for thread in threads:
            thread.join(30)
    figure(91, "L1 hits, p50", statistics.median(times), "us", "<= 1000")
    figure(91, "L1 hits, p99", sorted(times)[1979], "us")
    figure(91, "a read of what is not in L1", worst, "s", f"<= {3 * manager.timeout + 1:g}")
