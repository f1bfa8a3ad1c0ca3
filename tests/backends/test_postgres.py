"""Connections, time limits, retries and health of a PostgreSQL server."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
import warnings

import psycopg
import pytest

from greencache.backends.breaker import Breaker
from greencache.backends.postgres import PostgresManager
from greencache.backends.postgres_errors import StatementRefusedError
from greencache.backends.postgres_sql import migration_names
from greencache.errors import ConfigurationError, TierUnavailableError
from greencache.testing import wait_until

SPAWN = multiprocessing.get_context("spawn")
PID = b"select pg_backend_pid()"
CLIENT = "select 1 from pg_stat_activity where pid = %s and application_name = 'greencache'"
OTHERS = b"""
select pg_terminate_backend(pid) from pg_stat_activity
where datname = current_database() and pid <> pg_backend_pid()
"""


@pytest.fixture
def make_manager(postgres_url):
    """Make managers that are closed in the end."""
    managers = []

    def make(url=postgres_url, **options):
        managers.append(PostgresManager(url, **{"timeout": 5, **options}))
        return managers[-1]

    yield make
    for manager in managers:
        manager.close()


@pytest.fixture
def manager(make_manager):
    """A manager of an empty database."""
    return make_manager()


@pytest.fixture
def terminate(postgres_url):
    """End all connections to the database but its own."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield lambda: connection.execute(OTHERS).fetchall()


def took(call):
    """Return what a call raised, and the seconds it took."""
    started = time.monotonic()
    with pytest.raises(TierUnavailableError) as raised:
        call()
    return raised.value, time.monotonic() - started


# -- statements ----------------------------------------------------------------------------------------


def test_a_statement_returns_its_rows(manager):
    """With named, positional or no parameters; outside of these, `%` is itself."""
    assert manager.fetch(b"select %(a)s::int, %(b)s", {"a": 1, "b": "x"}) == [(1, "x")]
    assert manager.fetch(b"select %s::int", [2]) == [(2,)]
    assert manager.fetch(b"select '%'") == [("%",)]
    assert manager.execute(b"create table t as select generate_series(1, 3)") == 3


def test_a_transaction_is_all_or_nothing(manager):
    """What raises inside leaves no trace, and the connection is as good as before."""
    manager.execute(b"create table t (i int)")
    with manager.transaction() as session:
        session.execute(b"insert into t values (1)")
    with pytest.raises(ZeroDivisionError):
        insert_and(manager, lambda session: 1 / 0)
    with pytest.raises(StatementRefusedError):
        insert_and(manager, lambda session: session.execute(b"insert into nowhere values (3)"))
    assert manager.fetch(b"select i from t") == [(1,)]
    assert manager.check().pool_size == 1


def insert_and(manager, fail):
    """Do two things in a transaction."""
    with manager.transaction() as session:
        session.execute(b"insert into t values (2)")
        fail(session)


def test_a_refused_statement_says_what_the_server_says(manager):
    """Its code too; the server is well, so the breaker does not count it."""
    for _ in range(10):
        with pytest.raises(StatementRefusedError, match="nowhere") as raised:
            manager.fetch(b"select * from nowhere")
    assert raised.value.sqlstate == "42P01"
    assert not manager.breaker.is_open


def test_connections_are_bounded_and_reused(make_manager):
    """Many threads share a few; whoever gets none in time is told so."""
    manager = make_manager(max_connections=2, timeout=10)
    pids = []
    threads = [threading.Thread(target=lambda: pids.extend(manager.fetch(PID))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(pids) == 20
    assert len(set(pids)) <= 2


def test_a_full_pool_is_waited_for_no_longer_than_the_timeout(make_manager):
    """And the message says what is short."""
    # Long enough for a busy machine to connect in.
    manager = make_manager(max_connections=1, timeout=4.0)
    with manager.transaction():
        error, seconds = took(lambda: manager.fetch(PID))
    assert "all 1 are in use" in str(error)
    assert seconds < 7.5
    assert manager.fetch(PID)


# -- outages -------------------------------------------------------------------------------------------


def test_building_one_connects_to_nothing():
    """Nor does closing; the URL may be of a server that comes later."""
    manager = PostgresManager("postgresql://nobody@192.0.2.1:1/none")
    manager.close()
    manager.close()
    assert took(lambda: manager.fetch(PID))[1] < 5


def test_a_closed_manager_is_unavailable(manager):
    """Also where it was in use before."""
    manager.fetch(PID)
    manager.close()
    with pytest.raises(TierUnavailableError, match="closed"):
        manager.fetch(PID)


def test_a_refused_port_is_known_at_once(make_manager):
    """Not after the timeout; and nothing tells the password."""
    manager = make_manager("postgresql://me:s3cret@127.0.0.1:1/none", timeout=30)
    error, seconds = took(lambda: manager.fetch(PID))
    assert seconds < 10
    assert "refused" in str(error)
    health = manager.check()
    assert not health.up
    assert "refused" in health.error
    assert "s3cret" not in f"{error!r} {health!r} {manager!r}"


def test_a_rejected_login_says_why(postgres_url, make_manager):
    """Not only that no connection was to be had."""
    manager = make_manager(psycopg.conninfo.make_conninfo(postgres_url, dbname="nowhere"), timeout=1)
    with pytest.raises(TierUnavailableError, match='"nowhere" does not exist'):
        manager.fetch(PID)


def test_reads_survive_the_loss_of_all_connections(make_manager, terminate):
    """Each call is repeated on a new connection: no user sees an error."""
    manager = make_manager(max_connections=4)
    for _ in range(5):
        fill_pool(manager, 4)
        terminate()
        assert [manager.fetch(b"select 1") for _ in range(8)] == [[(1,)]] * 8


def fill_pool(manager, connections):
    """Have several connections open and idle."""
    barrier = threading.Barrier(connections)

    def hold():
        with manager.transaction() as session:
            session.fetch(PID)
            barrier.wait(10)

    threads = [threading.Thread(target=hold) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)


def test_a_call_cut_off_in_the_middle_is_repeated(make_manager, terminate):
    """Statements sent through `fetch` may run twice."""
    manager = make_manager()
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(manager.fetch(b"select 'done' from (select pg_sleep(0.5)) as s"))
    )
    thread.start()
    wait_until(terminate, reason="the statement runs")
    thread.join(10)
    assert answers == [[("done",)]]


def test_a_transaction_cut_off_is_not_repeated(manager, terminate):
    """Its code is the caller's."""
    manager.execute(b"create table t (i int)")
    with pytest.raises(TierUnavailableError):
        insert_and(manager, lambda session: terminate() and session.fetch(PID))
    assert manager.fetch(b"select 1 from t") == []


def test_a_restarted_server_is_back_with_the_first_call(postgres_servers):
    """Errors while it is away, at once; none once it is back."""
    server = postgres_servers()
    manager = PostgresManager(server.url, timeout=10, breaker=Breaker(failures=1000))
    fill_pool(manager, 3)
    server.kill()
    assert took(lambda: manager.fetch(PID))[1] < 5
    assert took(lambda: manager.fetch(PID))[1] < 5
    server.start()
    assert all(manager.fetch(b"select 1") == [(1,)] for _ in range(5))
    manager.close()


def test_a_hung_server_delays_nobody_beyond_the_timeout(postgres_servers):
    """Neither on an open connection nor on a new one, nor in a health check; afterwards all is well."""
    server = postgres_servers()
    manager = PostgresManager(server.url, timeout=1.5, statement_timeout=None, max_connections=2)
    [(backend,)] = manager.fetch(PID)
    os.kill(backend, signal.SIGSTOP)
    server.pause()
    try:
        seconds = [took(lambda: manager.fetch(b"select 1"))[1] for _ in range(3)]
        assert not manager.check().up
    finally:
        os.kill(backend, signal.SIGCONT)
        server.resume()
    assert max(seconds) < 6
    wait_until(lambda: manager.check().up, reason="the server answers again")
    assert manager.fetch(b"select 1") == [(1,)]
    manager.close()


def test_many_dead_connections_do_not_cost_a_timeout_each(postgres_servers):
    """After three unanswered calls in a row the rest of the pool is not trusted any more."""
    server = postgres_servers()
    manager = PostgresManager(server.url, timeout=1, statement_timeout=None, breaker=Breaker(failures=1000))
    fill_pool(manager, 6)
    with psycopg.connect(server.url) as connection:
        backends = pids_of(server.url) - {connection.info.backend_pid}
        stopped = {pid for pid in backends if connection.execute(CLIENT, [pid]).fetchall()}
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(3):
            took(lambda: manager.fetch(PID))
        assert stopped.isdisjoint(pid for (pid,) in manager.fetch(PID))
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    manager.close()


def test_a_late_answer_is_never_anothers(make_manager):
    """A connection that missed its deadline is not used again."""
    manager = make_manager(timeout=1.0, statement_timeout=None, breaker=Breaker(failures=1000))
    for number in range(3):
        took(lambda: manager.fetch(b"select 'late' from (select pg_sleep(1.2)) as s"))
        assert manager.fetch(b"select %s::int", [number]) == [(number,)]


def test_the_server_ends_a_statement_that_nobody_waits_for(make_manager, terminate, postgres_url):
    """By `statement_timeout`, so that it does not go on working for nothing."""
    took(lambda: make_manager(timeout=0.3).fetch(b"select pg_sleep(60)"))
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        query = "select 1 from pg_stat_activity where query like '%pg_sleep(60)%' and pid <> pg_backend_pid()"
        running = query + " and state = 'active'"
        wait_until(lambda: not connection.execute(running).fetchall(), reason="the statement was ended")


def test_a_server_that_is_down_is_not_asked_every_time(make_manager):
    """The breaker opens, tells, and lets a health check through."""
    changes = []
    manager = make_manager(
        "postgresql://127.0.0.1:1/none",
        breaker=Breaker(failures=2),
        on_change=lambda *change: changes.append(change),
    )
    for _ in range(3):
        took(lambda: manager.fetch(PID))
    assert manager.breaker.is_open
    assert [is_up for is_up, _ in changes] == [False]
    with pytest.raises(TierUnavailableError, match="is down"):
        manager.fetch(PID)
    assert "refused" in manager.check().error


# -- processes and greenlets ---------------------------------------------------------------------------


def test_a_forked_child_gets_connections_of_its_own(make_manager, postgres_url):
    """Parent and children never read each other's answers, and the parent's connections stay open."""
    manager = make_manager(max_connections=3)
    fill_pool(manager, 3)
    before = set(manager.fetch(PID))
    children = [fork(lambda: exchange(manager, before)) for _ in range(3)]
    answers = [manager.fetch(b"select %s::int", [number]) for number in range(200)]
    assert answers == [[(number,)] for number in range(200)]
    assert [exit_code(child) for child in children] == [0, 0, 0]
    assert set(manager.fetch(PID)) <= {(pid,) for pid in pids_of(postgres_url)}
    assert not manager.breaker.is_open


def exchange(manager, parents):
    """Run statements in a child; raise if an answer is not its own."""
    assert parents.isdisjoint(manager.fetch(PID))
    for number in range(1000, 1200):
        assert manager.fetch(b"select %s::int", [number]) == [(number,)]
    assert manager.check().pool_size == 1
    manager.close()


def test_a_child_forked_inside_a_transaction_cannot_end_it(manager):
    """Neither by leaving the block nor by its exit."""
    manager.execute(b"create table t (i int)")
    parent = os.getpid()
    try:
        with manager.transaction() as session:
            session.execute(b"insert into t values (1)")
            if child := fork():
                assert exit_code(child) == 0
                session.execute(b"insert into t values (2)")
    except TierUnavailableError:
        if os.getpid() == parent:
            raise
        os._exit(0)
    if os.getpid() != parent:
        os._exit(1)
    assert manager.fetch(b"select count(*) from t") == [(2,)]


def fork(work=None):
    """Fork; run `work` in the child and end it there, or return 0 in the child."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads is what is tested
        child = os.fork()
    if child == 0 and work is not None:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return child


def exit_code(child):
    """Wait for a child."""
    _, status = wait_until(
        lambda: (ended := os.waitpid(child, os.WNOHANG))[0] and ended, reason="the child ends", deadline=30
    )
    return os.waitstatus_to_exitcode(status)


def pids_of(url):
    """Return the backends that serve a database."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("select pid from pg_stat_activity where datname = current_database()")
        return {pid for (pid,) in rows}


GREENLETS = """
import gevent.monkey
{before}
from greencache.backends.postgres import PostgresManager
{after}
import gevent, sys, time
manager = PostgresManager(sys.argv[1], timeout=10)
ticks = []

def tick():
    while True:
        ticks.append(1)
        gevent.sleep(0.01)

ticker = gevent.spawn(tick)
query = b"select 'done' from (select pg_sleep(0.3)) as s"
answers = gevent.joinall([gevent.spawn(manager.fetch, query) for _ in range(4)], raise_error=True)
assert [each.value for each in answers] == [[("done",)]] * 4
assert len(ticks) > 5, ticks
for number in range(20):
    with gevent.Timeout(0.01, False):
        manager.fetch(query)
    assert manager.fetch(b"select %s::int", [number]) == [(number,)]
ticker.kill()
manager.close()
"""


def run_greenlets(url, **parts):
    """Run the script in an interpreter of its own."""
    script = GREENLETS.format(**{"before": "", "after": "", **parts})
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", script, url]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_greenlets_run_on_while_one_waits(postgres_url):
    """And one that is killed leaves nothing for the next to read."""
    pytest.importorskip("gevent")
    ended = run_greenlets(postgres_url, before="gevent.monkey.patch_all()")
    assert ended.returncode == 0, ended.stderr


def test_patching_after_psycopg_is_refused(postgres_url):
    """It would stop all greenlets during each query, silently."""
    pytest.importorskip("gevent")
    ended = run_greenlets(postgres_url, after="gevent.monkey.patch_all()")
    assert "ConfigurationError: expected gevent.monkey.patch_all() before" in ended.stderr


# -- health, schema, parameters ------------------------------------------------------------------------


def test_health_tells_version_size_and_pool(manager):
    """As the server says them."""
    health = manager.check()
    assert health.up
    assert health.error == ""
    assert health.latency_ms > 0
    assert int(health.version.split(".")[0]) >= 15
    assert health.database_size > 1_000_000
    assert (health.pool_size, health.pool_in_use, health.is_standby) == (1, 0, False)


def test_the_schema_is_installed_once(make_manager, manager):
    """Again is nothing; and a schema may have any name."""
    assert manager.install_schema() == migration_names()
    assert manager.install_schema() == []
    named = make_manager(schema='My "Schema"; --')
    assert named.install_schema() == migration_names()
    tables = b"select tablename from pg_tables where schemaname = %s order by 1"
    assert named.fetch(tables, [named.schema]) == manager.fetch(tables, [manager.schema])


def install(url, start, applied):
    """Install the schema at the same moment as others."""
    manager = PostgresManager(url, timeout=10)
    manager.fetch(PID)
    start.wait(30)
    applied.put(manager.install_schema())
    manager.close()


def test_four_processes_install_the_schema_at_once(postgres_url):
    """One does it, the others wait and find it done."""
    start, applied = SPAWN.Barrier(4), SPAWN.Queue()
    processes = [SPAWN.Process(target=install, args=(postgres_url, start, applied)) for _ in range(4)]
    for process in processes:
        process.start()
    answers = [applied.get(timeout=60) for _ in processes]
    for process in processes:
        process.join(30)
    assert sorted(map(len, answers)) == [0, 0, 0, len(migration_names())]


def test_a_user_without_rights_uses_what_the_owner_installed(manager, make_manager, postgres_url):
    """And is told what to do where nobody has."""
    name = f"reader_{os.getpid()}_{time.monotonic_ns()}"
    manager.execute(f"create role {name} login password 'x'".encode())
    try:
        reader = make_manager(psycopg.conninfo.make_conninfo(postgres_url, user=name, password="x"))
        with pytest.raises(ConfigurationError, match="owner"):
            reader.install_schema()
        with pytest.raises(TierUnavailableError, match="owner"):
            reader.ensure_schema()
        manager.install_schema()
        manager.execute(f"grant usage on schema greencache to {name}".encode())
        manager.execute(f"grant select on all tables in schema greencache to {name}".encode())
        assert reader.install_schema() == []
        reader.ensure_schema()
    finally:
        manager.execute(f"drop owned by {name}; drop role {name}".encode())


@pytest.mark.parametrize(
    "url", ["postgresql://u:s3cret@h:1/d?nonsense=1", "s3cret", "http://u:s3cret@h", 7, None]
)
def test_a_url_that_cannot_be_is_refused_without_repeating_it(url):
    """It may hold a password."""
    with pytest.raises(ConfigurationError, match="expected a URL") as raised:
        PostgresManager(url)
    assert "s3cret" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    "options",
    [{"max_connections": 0}, {"min_connections": 11}, {"schema": ""}, {"schema": "a.b"}, {"timeout": -1}],
)
def test_an_option_that_cannot_be_is_refused(options):
    """When the manager is made."""
    with pytest.raises(ValueError, match=r"expected|must be"):
        PostgresManager("postgresql://localhost/none", **options)


def test_what_the_url_says_goes_before(postgres_url, make_manager):
    """Its own options are kept beside ours."""
    manager = make_manager(
        psycopg.conninfo.make_conninfo(postgres_url, application_name="mine", options="-c work_mem=1234kB")
    )
    [row] = manager.fetch(
        b"select current_setting('application_name'), current_setting('work_mem'),"
        b" current_setting('statement_timeout'), current_setting('default_transaction_isolation')"
    )
    assert row == ("mine", "1234kB", "5s", "read committed")


def test_a_pool_without_prepared_statements(make_manager):
    """For PgBouncer in transaction mode."""
    manager = make_manager(prepare_threshold=None, statement_timeout=None)
    for _ in range(10):
        manager.fetch(b"select 1")
    assert manager.fetch(b"select count(*) from pg_prepared_statements") == [(0,)]
