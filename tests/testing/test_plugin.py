"""Promises of the pytest plugin: small test suites are run in processes of their own."""

import subprocess
import sys

import pytest

SUITE = """
import pytest, redis, psycopg

def client(url):
    return redis.Redis.from_url(url)

@pytest.mark.parametrize("turn", range(3))
def test_redis_is_empty_each_time(redis_url, turn):
    with client(redis_url) as connection:
        assert connection.dbsize() == 0
        connection.set("key", turn)

@pytest.mark.parametrize("turn", range(2))
def test_postgres_is_empty_each_time(postgres_url, turn):
    with psycopg.connect(postgres_url) as connection:
        connection.execute("create table factors ()")

def test_session_servers(redis_server, postgres_server):
    assert redis_server.is_running and postgres_server.is_running

def test_own_servers(redis_servers, postgres_servers):
    first, second, database = redis_servers(), redis_servers(maxmemory="5mb"), postgres_servers()
    assert len({first.port, second.port, database.port}) == 3
    for server in (first, database):
        server.kill()
        server.start()
"""


@pytest.fixture
def run_suite(tmp_path):
    """Run a suite of tests with the plugin; return what pytest printed."""

    def run(suite, *arguments, status=0):
        (tmp_path / "test_suite.py").write_text(suite)
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        code = "import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"
        plugins = ["-p", "no:cacheprovider", "-p", "no:randomly"]
        command = [sys.executable, "-c", code, f"--rootdir={tmp_path}", str(tmp_path), *plugins, *arguments]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
        assert answer.returncode == status, answer.stdout + answer.stderr
        return answer.stdout

    return run


def test_the_fixtures_give_empty_servers(run_suite):
    """Each test begins with nothing, in a session of real servers; no warning is worth an error."""
    assert "7 passed" in run_suite(SUITE, "-W", "error")


def test_workers_share_a_server_of_the_environment_by_databases(run_suite, redis_servers, monkeypatch):
    """Two workers of pytest-xdist would flush each other's keys."""
    pytest.importorskip("xdist")
    monkeypatch.setenv("GREENCACHE_TEST_REDIS_URL", redis_servers().url)
    suite = """
import pytest, redis
@pytest.mark.parametrize("turn", range(20))
def test_keys_stay(redis_url, turn, worker_id):
    assert redis_url.endswith("/" + worker_id.removeprefix("gw"))
"""
    assert "20 passed" in run_suite(suite, "-n", "2")


def test_the_header_is_shown_only_where_asked_for(run_suite):
    """Other people's test runs stay as they were."""
    suite = "def test_nothing(): pass"
    assert "greencache servers" not in run_suite(suite)
    shown = run_suite(suite, "-o", "greencache_header=true")
    assert "greencache servers: " in shown
    assert "PostgreSQL 1" in shown
    assert "psycopg 3." in shown
    assert "Python 3." in shown


def test_no_server_starts_that_no_test_asks_for(run_suite):
    """Loading the plugin costs nothing."""
    suite = """
import sys
def test_nothing_is_loaded(pytestconfig):
    assert not {"redis", "psycopg", "greencache.testing.servers"} & set(sys.modules)
"""
    # A plugin of somebody else's that loads redis.
    run_suite(suite, "-p", "no:frontrun")
