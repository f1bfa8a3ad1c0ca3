"""TCP, unix sockets and TLS; what is shown of a password anywhere: nothing."""

import contextlib
import logging
import pathlib
import socket
import ssl
import threading
import traceback

import pytest

from greencache.backends.redis import RedisManager
from greencache.backends.retry import RetryPolicy
from greencache.errors import TierUnavailableError

TLS = pathlib.Path(__file__).with_name("tls")
CANARY = "c4n4ry-pa55word"


def test_a_unix_socket_serves_as_tcp_does(new_manager, redis_servers, tmp_path, parser):
    """And its path is its name in messages."""
    path = tmp_path / "redis.sock"
    server = redis_servers(arguments=["--unixsocket", str(path), "--unixsocketperm", "777"])
    manager = new_manager(f"unix://{path}?db=2", parser=parser)
    assert manager.execute("SET", "key", "value") == b"OK"
    assert manager.execute("GET", "key") == b"value"
    server.stop()
    with pytest.raises(TierUnavailableError, match=r"redis\.sock"):
        manager.execute("GET", "key", deadline=0.2)


@pytest.fixture
def tls_url(strange_server, redis_server, redis_url):
    """A proxy that speaks TLS to clients and plain Redis to the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "server.pem", TLS / "server.key")

    def pump(source, target):
        """Pass on what comes, and wake the pump of the other direction at the end."""
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def talk(sock):
        with (
            context.wrap_socket(sock, server_side=True) as outside,
            socket.create_connection(("127.0.0.1", redis_server.port)) as inside,
        ):
            inside.settimeout(10)
            back = threading.Thread(target=pump, args=(inside, outside))
            back.start()
            pump(outside, inside)
            back.join(10)

    return f"rediss://127.0.0.1:{strange_server(talk).port}"


def test_tls_serves_as_tcp_does(tls_url, new_manager, parser):
    """With the server's certificate checked against a given one."""
    manager = new_manager(f"{tls_url}?ssl_ca_certs={TLS / 'server.pem'}", parser=parser)
    value = b"v" * 300_000
    assert manager.execute("SET", "key", value) == b"OK"
    assert [manager.execute("GET", "key") for _ in range(3)] == [value] * 3
    assert len(manager.pools[0]) == 1


def test_a_certificate_that_nobody_vouches_for_is_refused(tls_url, new_manager):
    """Verification is on unless it is switched off; and it is not tried again."""
    sleeps = []
    manager = new_manager(tls_url, sleep=sleeps.append)
    with pytest.raises(TierUnavailableError, match=r"no secure connection.*certificate"):
        manager.execute("PING")
    assert sleeps == []
    assert new_manager(f"{tls_url}?ssl_cert_reqs=none").execute("PING") == b"PONG"


def test_tls_to_a_server_without_it_is_an_outage(new_manager, redis_server, redis_url):
    """In time."""
    manager = new_manager(f"rediss://127.0.0.1:{redis_server.port}", deadline=1)
    with pytest.raises(TierUnavailableError):
        manager.execute("PING")


def all_that_is_shown(error):
    """Return an error and its whole chain as a traceback with the values of all variables."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(shown.format()) + repr(error) + str(error)


# By name: the test's own variables are among those that are looked through.
REPLIES = {
    "wrong password": lambda _: b"-WRONGPASS invalid username-password pair\r\n",
    "quoting error": lambda _: b"-ERR who is " + CANARY.encode() + b"?\r\n",
    "quoting list": lambda _: b"*1\r\n$15\r\n" + CANARY.encode() + b"\r\n",
    "no Redis": lambda _: CANARY.encode() + b"\r\n",
    "hangs up": lambda _: b"",
    "echoes": lambda received: received,
}


@pytest.mark.parametrize("reply", REPLIES)
def test_no_password_is_shown_anywhere(strange_server, reply, caplog, parser):
    """Not in errors, their chains and the variables in them, nor in reprs, states, health and logs."""
    caplog.set_level(logging.DEBUG)

    def talk(sock):
        received = sock.recv(4_096)
        assert CANARY.encode() in received
        sock.sendall(REPLIES[reply](received))

    server = strange_server(talk)
    manager = RedisManager(
        f"redis://127.0.0.1:{server.port}",
        username="user",
        password=CANARY,
        retry=RetryPolicy(retries=1, base=0.001),
        parser=parser,
        deadline=2,
    )
    shown = []
    for call in (lambda: manager.execute("PING"), lambda: manager.open_listener(1).execute("PING")):
        try:
            call()
        except Exception as error:
            shown.append(all_that_is_shown(error))
    assert len(shown) == 2
    shown += [repr(manager), str(manager), manager.address, str(manager.check()), caplog.text]
    shown += [repr(manager._servers), repr(manager._deployment), repr(manager._servers.node.new_connection())]
    assert [text for text in shown if CANARY in text] == []
    manager.close()
