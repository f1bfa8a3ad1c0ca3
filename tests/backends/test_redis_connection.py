"""A connection is dirty from before a command is written until its whole reply is read."""

import pytest
from redis import exceptions

from greencache.backends.redis_address import RedisAddress
from greencache.backends.redis_connection import new_connection
from greencache.backends.redis_protocol import pack
from greencache.backends.redis_socket import DeadlineSocket
from greencache.clock import SystemClock

NOW = SystemClock.now
GET = pack(["GET", "key"])


class Unwound(BaseException):
    """What a killed greenlet, a signal handler or Ctrl-C raises."""


@pytest.fixture
def connect(redis_url, parser):
    """Make connections that are closed when the test ends."""
    made = []

    def make(url=redis_url, connect_timeout=5):
        address = RedisAddress.parse(url)
        made.append(new_connection(address, now=NOW, connect_timeout=connect_timeout, parser=parser))
        return made[-1]

    yield make
    for connection in made:
        connection.abandon()


def exchange(connection, *commands, seconds=5):
    """Send some commands together."""
    packed = b"".join(pack(command) for command in commands)
    return connection.exchange(packed, len(commands), NOW() + seconds)


def test_exchanges_commands_for_replies(connect):
    """Undecoded, in order, and clean afterwards; an error reply is in its place."""
    connection = connect()
    replies = exchange(
        connection, ["SET", "key", "v"], ["GET", "key"], ["INCR", "key"], ["GET", "no"], ["DEL", "key"]
    )
    assert replies[:2] == [b"OK", b"v"]
    assert isinstance(replies[2], exceptions.ResponseError)
    assert replies[3:] == [None, 1]
    assert not connection.is_dirty
    assert not connection.is_stale


@pytest.mark.parametrize("method", ["sendall", "recv", "recv_into"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_is_dirty_whatever_unwinds_an_exchange(connect, monkeypatch, method, when):
    """Before or after a system call has done its work."""
    connection = connect()
    exchange(connection, ["PING"])
    real = getattr(DeadlineSocket, method)
    hit = []

    def unwinding(self, *args):
        hit.append(1)
        if when == "after":
            real(self, *args)
        raise Unwound

    monkeypatch.setattr(DeadlineSocket, method, unwinding)
    try:
        exchange(connection, ["GET", "key"])
    except Unwound:
        assert connection.is_dirty
    else:
        assert not hit, "only one of the two ways to receive is used by each parser"


def test_is_dirty_when_the_login_is_unwound(connect, redis_url, monkeypatch):
    """Else the next command would get the reply to the login."""
    connection = connect(redis_url.rpartition("/")[0] + "/1")

    def unwinding(*_):
        raise Unwound

    with monkeypatch.context() as patch:
        patch.setattr(DeadlineSocket, "recv", unwinding)
        patch.setattr(DeadlineSocket, "recv_into", unwinding)
        with pytest.raises(Unwound):
            exchange(connection, ["PING"])
    assert connection.is_dirty


def test_is_dirty_while_a_batch_is_half_read(connect):
    """A time-out in the midst of it leaves replies behind."""
    connection = connect()
    exchange(connection, ["PING"])
    with pytest.raises((TimeoutError, exceptions.TimeoutError)):
        exchange(connection, ["PING"], ["BLPOP", "nothing", "5"], seconds=0.2)
    assert connection.is_dirty


def test_is_dirty_when_more_came_than_was_asked_for(connect):
    """Whose reply would the next one be?"""
    connection = connect()
    connection.exchange(pack(["PING"]) * 2 + pack(["GET", "key"]), 2, NOW() + 5)
    assert connection.is_dirty or connection.is_stale


def test_is_stale_once_the_server_hung_up(connect):
    """Noticed without sending anything."""
    connection, killer = connect(), connect()
    (number,) = exchange(connection, ["CLIENT", "ID"])
    assert not connection.is_stale
    exchange(killer, ["CLIENT", "KILL", "ID", number])
    assert connection.is_stale


def test_is_opened_anew_after_it_was_abandoned(connect):
    """A clean start, on another socket."""
    connection = connect()
    (first,) = exchange(connection, ["CLIENT", "ID"])
    connection.abandon()
    assert not connection.is_connected
    (second,) = exchange(connection, ["CLIENT", "ID"])
    assert second != first


def test_selects_the_database_of_its_url(connect, redis_url):
    """As part of the login."""
    elsewhere = connect(redis_url.rpartition("/")[0] + "/5")
    exchange(elsewhere, ["SET", "only-in-5", "x"])
    assert exchange(connect(), ["GET", "only-in-5"]) == [None]
    exchange(elsewhere, ["FLUSHDB"])


def test_connecting_ends_at_its_own_limit(connect, strange_server):
    """A login that nobody answers takes `connect_timeout`, not the whole deadline."""
    server = strange_server(lambda _: server.is_over.wait(10))
    connection = connect(f"redis://:secret@127.0.0.1:{server.port}", connect_timeout=0.2)
    start = NOW()
    with pytest.raises((TimeoutError, exceptions.TimeoutError)):
        exchange(connection, ["PING"], seconds=5)
    assert NOW() - start < 2
    assert not connection.may_have_run, "a login that failed has sent no command"


def test_asks_for_nothing_that_redis_py_adds(connect, strange_server):
    """No HELLO, no CLIENT SETINFO, no maintenance notifications: the first bytes are the first command's."""
    seen = []

    def talk(sock):
        seen.append(sock.recv(4_096))
        sock.sendall(b"$1\r\nv\r\n")

    server = strange_server(talk)
    assert connect(server.url).exchange(GET, 1, NOW() + 5) == [b"v"]
    assert seen == [GET]


def test_a_reply_in_single_bytes_is_one_reply(connect, strange_server):
    """However the network cuts it."""
    value = b"*2\r\n$5\r\na\r\nbc\r\n:42\r\n"

    def talk(sock):
        sock.recv(4_096)
        for byte in value:
            sock.sendall(bytes([byte]))

    connection = connect(strange_server(talk).url)
    assert connection.exchange(GET, 1, NOW() + 5) == [[b"a\r\nbc", 42]]
    assert not connection.is_dirty
