"""Promises of servers started as programs, Redis and PostgreSQL alike."""

import contextlib
import os
import signal
import socket
import urllib.parse

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from greencache.testing import NoServerAvailable, PostgresServer, RedisServer, wait_until
from greencache.testing.servers import LOCAL, ServerControlError, ServerStartError, local
from greencache.testing.servers.family import children_of, is_running

KINDS = [RedisServer, PostgresServer]


@pytest.fixture(params=KINDS, ids=["redis", "postgres"])
def server(request):
    """A running local server of each kind."""
    with request.param(sources=LOCAL) as started:
        yield started


def answers(server, *, seconds=5.0):
    """Say whether a client gets an answer in time."""
    try:
        if isinstance(server, PostgresServer):
            parts = urllib.parse.urlsplit(server.url)
            with psycopg.connect(server.url, connect_timeout=max(2, int(seconds))) as connection:
                return connection.execute("select 1").fetchone() == (1,) and parts.port == server.port
        with contextlib.closing(
            redis.Redis.from_url(server.url, socket_timeout=seconds, retry=Retry(NoBackoff(), 0))
        ) as client:
            return client.ping()
    except (redis.RedisError, psycopg.Error):
        return False


def test_a_started_server_answers_and_tells_who_it_is(server):
    """After start there is nothing left to wait for."""
    assert answers(server)
    assert server.is_running
    assert is_running(server.pid)
    assert server.version.split()[0] in ("Valkey", "Redis", "PostgreSQL")
    assert server.source.split(":")[0] in LOCAL
    assert f":{server.port}/" in server.url
    assert server.version in repr(server)


def test_the_password_is_not_shown(server):
    """A server's repr may be printed anywhere."""
    password = urllib.parse.urlsplit(server.url).password
    assert password is None or password not in repr(server)


def test_a_killed_server_comes_back_on_its_port(server):
    """What a client has in its hand stays right."""
    url, pid, children = server.url, server.pid, children_of(server.pid)
    server.kill()
    assert not server.is_running
    assert server.pid is None
    assert not any(is_running(each) for each in (pid, *children))
    assert not answers(server)
    assert server.url == url
    server.start()
    assert server.url == url
    assert answers(server)


def test_a_stopped_server_comes_back_on_its_port(server):
    """As after a kill, in good order; stopping twice is no error."""
    url = server.url
    server.stop()
    server.stop()
    assert not answers(server)
    server.start()
    assert server.url == url
    assert answers(server)


def test_a_server_that_ended_by_itself_can_be_started_again(redis_servers):
    """Somebody else may have killed it."""
    server = redis_servers()
    os.kill(server.pid, signal.SIGKILL)
    wait_until(lambda: not server.is_running, reason="the server is gone")
    server.start()
    assert answers(server)


def test_a_paused_server_keeps_connections_and_silence(server):
    """The kernel accepts, nobody answers; after resume the same server goes on."""
    pid = server.pid
    server.pause()
    with socket.create_connection(("127.0.0.1", server.port), timeout=5):
        assert not answers(server, seconds=0.2)
    server.resume()
    assert answers(server)
    assert server.pid == pid


def test_a_paused_server_can_be_stopped_and_killed(server):
    """A fault test that fails half-way must not hang the ones after it."""
    server.pause()
    server.stop()
    assert "bye bye" in server.log() or "database system is shut down" in server.log()
    server.start()
    server.pause()
    server.kill()
    server.start()
    assert answers(server)


def test_closing_leaves_nothing(server):
    """No process, no child of it, no folder."""
    folder, pid = server._runner._folder, server.pid
    family = [pid, *children_of(pid)]
    assert folder.exists()
    server.close()
    assert not folder.exists()
    assert not any(is_running(each) for each in family)


def test_the_log_outlives_a_restart(server):
    """What was said before a kill explains what comes after it."""
    before = server.log()
    server.kill()
    server.start()
    assert before
    assert server.log().startswith(before)


@pytest.mark.parametrize("action", ["kill", "pause", "resume"])
def test_what_does_not_run_cannot_be_killed_or_paused(server, action):
    """The error says what to do first."""
    server.stop()
    with pytest.raises(ServerControlError, match=r"start\(\) it first"):
        getattr(server, action)()


def test_what_runs_cannot_be_started(server):
    """Two processes for one server would lose one of them."""
    with pytest.raises(ServerControlError, match="runs already"):
        server.start()


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_never_started_has_no_url(kind):
    """The error says what to do."""
    with pytest.raises(ServerControlError, match=r"call start\(\)"):
        _ = kind().url


@pytest.mark.parametrize("kind", KINDS)
def test_a_port_taken_at_the_last_moment_is_replaced(kind, monkeypatch):
    """Between choosing a port and binding it somebody else may have taken it."""
    with socket.create_server(("127.0.0.1", 0)) as stranger, kind(sources=LOCAL) as first:
        real = local.free_port
        ports = iter([stranger.getsockname()[1], first.port])
        monkeypatch.setattr(local, "free_port", lambda: next(ports, None) or real())
        with kind(sources=LOCAL) as second:
            assert second.port not in (stranger.getsockname()[1], first.port)
            assert answers(second)
        assert answers(first)


def test_a_server_that_cannot_start_shows_its_log():
    """The error alone must be enough to see what is wrong, and nothing is left."""
    server = RedisServer(sources=LOCAL, arguments=["--no-such-option", "1"])
    runner = next(each for each in server._candidates() if each.source == server.sources_here()[0]).prepare()
    with pytest.raises(
        ServerStartError, match=r"(?s)ended with status 1 .*the end of its log:.*no-such-option"
    ):
        runner.start()
    assert runner._folder is None
    assert not runner.is_running


def test_a_server_that_does_not_stop_is_killed(redis_servers, monkeypatch):
    """Nothing may hang a test run."""
    server = redis_servers(deadline=0.2)
    monkeypatch.setattr(server._runner._program, "stop_signal", signal.SIGCONT)  # it does not end of that
    pid = server.pid
    server.stop()
    assert not is_running(pid)
    server.start()
    assert answers(server)


def test_a_server_that_does_not_answer_is_killed(monkeypatch):
    """It runs, but not for us: the error says what was waited for and shows the log."""
    started = []

    def never(folder, port, pid):
        started.append(pid)

    server = RedisServer(sources=LOCAL, deadline=0.2)
    runner = next(each for each in server._candidates() if each.source == server.sources_here()[0]).prepare()
    monkeypatch.setattr(runner._program, "answers", never)
    with pytest.raises(ServerStartError, match=r"(?s)until [\w-]+ answers on port \d+.*the end of its log"):
        runner.start()
    assert not is_running(started[-1])
    assert runner._folder is None
    with pytest.raises(ServerControlError, match="has no port"):
        _ = runner.url


def test_the_search_for_a_port_ends(monkeypatch):
    """When all ports turn out to be taken, the last error is shown."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        monkeypatch.setattr(local, "free_port", lambda: stranger.getsockname()[1])
        with pytest.raises(NoServerAvailable, match="already in use"):
            RedisServer(sources=LOCAL).start()
