"""RedisManager: what it does when the server does not, in bounded time."""

import socket
import threading
import time

import pytest

from greencache.backends.breaker import Breaker, BreakerState
from greencache.backends.retry import RefusedError, RetryPolicy, TransientError
from greencache.errors import TierUnavailableError
from greencache.testing import FakeClock

GRACE = 0.05 + 0.5
"""Seconds that a call may take beyond its deadline: 50 ms, and what a loaded machine may need."""

OK = b"+OK\r\n"


def took(call):
    """Return the error that a call raised, and after how many seconds."""
    start = time.monotonic()
    with pytest.raises(TierUnavailableError) as caught:
        call()
    return caught.value, time.monotonic() - start


def test_a_refused_connection_is_an_outage(new_manager, strange_server):
    """It names the server and says what happened."""
    server = strange_server(lambda _: None)
    server.close()
    error, _ = took(lambda: new_manager(server.url, retry=RetryPolicy(retries=0)).execute("PING"))
    assert f"127.0.0.1:{server.port} cannot be reached" in str(error)
    assert "refused" in str(error)


def test_an_unknown_host_is_an_outage(new_manager):
    """So is what DNS does not know."""
    manager = new_manager("redis://nobody.invalid", retry=RetryPolicy(retries=0))
    assert "nobody.invalid:6379 cannot be reached" in str(took(lambda: manager.execute("PING"))[0])


def test_a_hung_server_costs_no_more_than_the_deadline(new_manager, redis_servers, parser):
    """The kernel still accepts connections and bytes, nobody answers; later all goes on as before."""
    server = redis_servers()
    manager = new_manager(server.url, deadline=0.3, parser=parser)
    manager.execute("SET", "key", "value", deadline=10)
    server.pause()
    error, seconds = took(lambda: manager.execute("GET", "key"))
    assert "did not answer in time" in str(error)
    assert seconds < 0.3 + GRACE
    error, seconds = took(lambda: manager.execute("ECHO", "other", deadline=0.1))
    assert seconds < 0.1 + GRACE
    server.resume()
    assert manager.execute("GET", "key", deadline=10) == b"value"


def test_a_dripping_server_costs_no_more_than_the_deadline(new_manager, strange_server, parser):
    """One byte now and then: no single wait is long, all together are."""

    def drip(sock):
        sock.recv(4_096)
        sock.sendall(b"$1000\r\n")
        while not server.is_over.wait(0.02):
            sock.sendall(b"x")

    server = strange_server(drip)
    manager = new_manager(server.url, deadline=0.3, timeout=5, parser=parser)
    error, seconds = took(lambda: manager.execute("GET", "key"))
    assert "did not answer in time" in str(error)
    assert seconds < 0.3 + GRACE


def test_a_full_pool_costs_no_more_than_the_deadline(new_manager, redis_url):
    """And is no outage of the server."""
    manager = new_manager(redis_url, max_connections=1, breaker=Breaker(1))
    blocked = threading.Thread(target=lambda: manager.execute("BLPOP", "list", 0))
    blocked.start()
    admin = new_manager(redis_url)
    while b"cmd=blpop" not in admin.execute("CLIENT", "LIST"):
        time.sleep(0.01)
    error, seconds = took(lambda: manager.execute("PING", deadline=0.2))
    assert "none of 1 connections came free" in str(error)
    assert seconds < 0.2 + GRACE
    assert manager.state is BreakerState.CLOSED
    admin.execute("RPUSH", "list", "x")
    blocked.join(10)


def test_a_slow_attempt_is_followed_by_another_within_the_deadline(new_manager, strange_server):
    """`timeout` is one attempt's, `deadline` all together's."""
    asked = []

    def talk(sock):
        while sock.recv(4_096):
            asked.append(1)
            if len(asked) > 1:
                sock.sendall(OK)

    manager = new_manager(strange_server(talk).url, timeout=1, deadline=10)
    assert manager.execute("PING") == b"OK"
    assert len(asked) == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b"220 mail.example ESMTP\r\n",
        b"\x00\x01\x02\x03garbage\r\n",
        b"$nonsense\r\n",
        b"*1\r\n*1\r\n*x\r\n",
        b":not-a-number\r\n",
        b"E\x00\x00\x00\x51SFATAL\x00",
        b"*1\r\n" * 2_000,
        b"",
    ],
)
def test_a_wrong_server_on_the_port_is_an_outage(new_manager, strange_server, parser, answer):
    """HTTP, mail, PostgreSQL, noise, or somebody who hangs up: typed, in time, and not hammered."""

    def talk(sock):
        sock.recv(4_096)
        sock.sendall(answer)

    server = strange_server(talk)
    manager = new_manager(server.url, deadline=1, retry=RetryPolicy(retries=0), parser=parser)
    error, seconds = took(lambda: manager.execute("GET", "key"))
    assert f"127.0.0.1:{server.port}" in str(error)
    assert seconds < 1 + GRACE
    assert server.accepted == 1


def test_a_server_that_speaks_first_is_noticed(new_manager, strange_server, parser):
    """Bytes that came unasked are no reply; the connection is not used again."""

    def talk(sock):
        while sock.recv(4_096):
            sock.sendall(b"$1\r\na\r\n$1\r\nb\r\n")

    server = strange_server(talk)
    manager = new_manager(server.url, parser=parser)
    assert [manager.execute("GET", "key") for _ in range(3)] == [b"a"] * 3
    assert server.accepted == 3


@pytest.mark.parametrize("parser_of_cut", [0, 1, 3, 5, 8])
def test_half_a_reply_is_an_outage(new_manager, strange_server, parser_of_cut):
    """Wherever it is cut."""

    def talk(sock):
        sock.recv(4_096)
        sock.sendall(b"$5\r\nvalue\r\n"[:parser_of_cut])

    manager = new_manager(strange_server(talk).url, retry=RetryPolicy(retries=0))
    assert "broke the connection" in str(took(lambda: manager.execute("GET", "key"))[0])


def test_transient_failures_are_retried_with_growing_waits(new_manager, strange_server):
    """0.1, 0.2, 0.4 seconds; then the last failure is raised."""
    clock, sleeps = FakeClock(), []
    server = strange_server(lambda _: None)
    server.close()
    manager = new_manager(server.url, clock=clock, sleep=sleeps.append, breaker=Breaker(9, clock=clock))
    with pytest.raises(TransientError):
        manager.execute("PING")
    assert sleeps == pytest.approx([0.1, 0.2, 0.4])


def test_a_server_that_is_loading_is_asked_again(new_manager, strange_server, parser):
    """Until it has loaded."""
    replies = iter([b"-LOADING Redis is loading the dataset in memory\r\n", b"-BUSY wait\r\n", OK])

    def talk(sock):
        while sock.recv(4_096):
            sock.sendall(next(replies))

    sleeps = []
    manager = new_manager(strange_server(talk).url, sleep=sleeps.append, parser=parser)
    assert manager.execute("PING", repeatable=False) == b"OK", "a command that was not run may be repeated"
    assert len(sleeps) == 2


def test_what_must_not_run_twice_is_not_repeated_when_it_may_have_run(new_manager, strange_server):
    """Reply lost: it may have run. Connection refused: it has not."""
    asked = []

    def talk(sock):
        asked.append(sock.recv(4_096))

    server = strange_server(talk)
    sleeps = []
    manager = new_manager(server.url, sleep=sleeps.append, breaker=Breaker(99))
    with pytest.raises(TransientError, match="broke the connection"):
        manager.execute("INCR", "n", repeatable=False)
    assert len(asked) == 1
    assert sleeps == []
    server.close()
    with pytest.raises(TransientError, match="cannot be reached"):
        manager.execute("INCR", "n", repeatable=False)
    assert len(sleeps) == 3


def test_a_stall_does_not_run_a_command_twice_unless_it_is_repeatable(new_manager, redis_servers):
    """Where stock redis-py's `incr` over a stall returns 2."""
    server = redis_servers()
    manager = new_manager(server.url, timeout=0.2, deadline=5)
    server.pause()
    with pytest.raises(TransientError):
        manager.execute("INCR", "n", repeatable=False)
    server.resume()
    assert int(manager.execute("GET", "n") or 0) <= 1


def test_connections_that_the_server_closed_are_replaced_without_a_retry(new_manager, redis_url):
    """A restart, or an idle time limit, in between two calls is nothing to wait for."""
    sleeps = []
    manager, admin = new_manager(redis_url, sleep=sleeps.append), new_manager(redis_url)
    for _ in range(3):
        number = manager.execute("CLIENT", "ID")
        admin.execute("CLIENT", "KILL", "ID", number)
        assert manager.execute("ECHO", "there") == b"there"
    assert sleeps == []
    assert manager.state is BreakerState.CLOSED


def test_a_connection_that_is_closed_in_the_very_moment_is_replaced_without_a_retry(
    new_manager, redis_url, monkeypatch
):
    """The look at checkout came too early to see it."""
    from greencache.backends.redis_connection import GuardedConnection

    monkeypatch.setattr(GuardedConnection, "is_stale", property(lambda _: False))
    sleeps = []
    manager, admin = new_manager(redis_url, sleep=sleeps.append), new_manager(redis_url)
    number = manager.execute("CLIENT", "ID")
    admin.execute("CLIENT", "KILL", "ID", number)
    assert manager.execute("ECHO", "there") == b"there"
    assert sleeps == []
    number = manager.execute("CLIENT", "ID")
    admin.execute("CLIENT", "KILL", "ID", number)
    with pytest.raises(TransientError):
        manager.execute("INCR", "n", repeatable=False)


def test_the_breaker_opens_and_then_nobody_is_asked(new_manager, strange_server):
    """No connection, no wait; the message tells why, and when the next try is."""
    clock = FakeClock()
    server = strange_server(lambda _: None)
    manager = new_manager(
        server.url, clock=clock, retry=RetryPolicy(retries=0), breaker=Breaker(3, clock=clock)
    )
    for _ in range(3):
        took(lambda: manager.execute("PING"))
    assert manager.is_open
    accepted = server.accepted
    error, seconds = took(lambda: manager.execute("PING"))
    assert "left alone for another 1.0 s" in str(error)
    assert "broke the connection" in str(error)
    assert seconds < 1
    assert server.accepted == accepted
    clock.advance(1)
    took(lambda: manager.execute("PING"))
    assert server.accepted == accepted + 1, "one probe"


def test_nothing_is_retried_once_the_breaker_is_open(new_manager, strange_server):
    """Whoever opens it stops, and a probe asks once."""
    clock, sleeps = FakeClock(), []
    server = strange_server(lambda _: None)
    server.close()
    manager = new_manager(server.url, clock=clock, sleep=sleeps.append, breaker=Breaker(2, clock=clock))
    took(lambda: manager.execute("PING"))
    assert len(sleeps) == 1
    clock.advance(1)
    took(lambda: manager.execute("PING"))
    assert len(sleeps) == 1


def test_down_and_up_are_told(new_manager, redis_servers):
    """Once each, with the reason."""
    changes = []
    server = redis_servers()
    clock = FakeClock()
    manager = new_manager(
        server.url,
        clock=clock,
        sleep=clock.advance,
        on_change=lambda *change: changes.append(change),
    )
    manager.execute("PING")
    server.kill()
    for _ in range(5):
        took(lambda: manager.execute("PING"))
    server.start()
    clock.advance(60)
    assert manager.execute("PING") == b"PONG"
    assert [is_up for is_up, _ in changes] == [False, True]
    assert "cannot be reached" in changes[0][1]


@pytest.mark.parametrize("retries", [0, 3])
def test_a_probe_cut_short_lets_the_next_one_in(new_manager, strange_server, monkeypatch, retries):
    """A killed greenlet that held the probe does not keep the server out."""
    clock = FakeClock()
    server = strange_server(lambda _: None)
    manager = new_manager(
        server.url, clock=clock, retry=RetryPolicy(retries=retries), breaker=Breaker(1, clock=clock)
    )
    took(lambda: manager.execute("PING"))
    clock.advance(1)

    class Unwound(BaseException):
        pass

    def unwinding(*_, **__):
        raise Unwound

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", unwinding)
        with pytest.raises(Unwound):
            manager.execute("PING")
    assert manager.state is BreakerState.OPEN
    accepted = server.accepted
    took(lambda: manager.execute("PING"))
    assert server.accepted == accepted + 1


def test_a_full_memory_refuses_writes_and_leaves_reads_alone(new_manager, redis_servers):
    """Neither retried nor held against the server."""
    manager = new_manager(redis_servers(maxmemory="3mb").url, breaker=Breaker(1))
    manager.execute("SET", "key", "value")
    with pytest.raises(RefusedError, match="memory is full"):
        manager.execute_many([("SET", f"k{n}", b"x" * 100_000) for n in range(50)])
    assert manager.execute("GET", "key") == b"value"
    assert manager.state is BreakerState.CLOSED


def test_a_replica_refuses_writes(new_manager, redis_servers):
    """And the connections to it are let go of: behind the same name may be another server by now."""
    server = redis_servers()
    manager = new_manager(server.url, breaker=Breaker(1))
    manager.execute("REPLICAOF", "127.0.0.1", server.port + 1)
    with pytest.raises(RefusedError, match="is a replica"):
        manager.execute("SET", "key", "value")
    assert manager.state is BreakerState.CLOSED


def test_a_missing_permission_is_refused_and_not_retried(new_manager, redis_servers):
    """The message names the command, not the password."""
    server = redis_servers()
    new_manager(server.url).execute("ACL", "SETUSER", "limited", "on", ">pw", "~*", "+@all", "-@scripting")
    sleeps = []
    manager = new_manager(
        server.url, username="limited", password="pw", sleep=sleeps.append, breaker=Breaker(1)
    )
    with pytest.raises(RefusedError, match="our user may not do this"):
        manager.execute("EVAL", "return 1", 0)
    assert manager.execute("PING") == b"PONG"
    assert sleeps == []


def test_a_wrong_password_is_an_outage_that_is_not_retried(new_manager, redis_servers):
    """No storm of logins: the breaker opens."""
    server = redis_servers(password=True)
    sleeps = []
    manager = new_manager(server.url, password="wrong", sleep=sleeps.append, breaker=Breaker(1))
    error, _ = took(lambda: manager.execute("PING"))
    assert "does not accept our login" in str(error)
    assert manager.is_open
    assert sleeps == []
    missing = new_manager(f"redis://127.0.0.1:{server.port}", sleep=sleeps.append)
    assert "NOAUTH" in str(took(lambda: missing.execute("PING"))[0])
    assert new_manager(server.url).execute("PING") == b"PONG"


def test_no_more_clients_is_an_outage(new_manager, redis_servers):
    """Typed, and tried again later."""
    server = redis_servers(arguments=["--maxclients", "2"])
    holders = [new_manager(server.url) for _ in range(2)]
    for holder in holders:
        holder.execute("PING")
    manager = new_manager(server.url, retry=RetryPolicy(retries=0))
    error, _ = took(lambda: manager.execute("PING"))
    assert "max number of clients" in str(error) or "broke the connection" in str(error)


def test_a_deadline_in_the_past_asks_nobody(new_manager, redis_url):
    """Not even the server's breaker is told."""
    manager = new_manager(redis_url, breaker=Breaker(1))
    took(lambda: manager.execute("PING", deadline=-1))
    assert manager.state is BreakerState.CLOSED
