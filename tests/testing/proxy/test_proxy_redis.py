"""Promises of the proxy in front of a real Redis server."""

import contextlib
import pathlib
import subprocess
import sys
import threading

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from greencache.testing import Cut, TcpProxy


@pytest.fixture
def proxy(redis_server):
    """A proxy in front of the server of the session."""
    with TcpProxy(("127.0.0.1", redis_server.port)) as proxy:
        yield proxy


@pytest.fixture
def client(proxy, redis_url):
    """A client that goes through the proxy and tries once."""
    url = proxy.url_for(redis_url)
    with contextlib.closing(
        redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=1)
    ) as client:
        yield client


def test_a_client_works_through_it(client):
    """Large values, pipelines, many threads."""
    client.set("large", b"x" * 5_000_000)
    wrong = []

    def work(number):
        for turn in range(50):
            client.set(f"k{number}", turn)
            if int(client.get(f"k{number}")) != turn:
                wrong.append((number, turn))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert client.get("large") == b"x" * 5_000_000


def test_single_bytes_make_whole_replies(proxy, client):
    """A client that reads what comes puts it together."""
    client.set("a", b"value" * 100)
    proxy.replies.chunk_size = proxy.requests.chunk_size = 1
    assert client.get("a") == b"value" * 100


def test_a_late_reply_is_a_time_out(proxy, client):
    """And the client comes back on another connection."""
    client.ping()
    proxy.replies.latency = 3600.0
    client.connection_pool.connection_kwargs["socket_timeout"] = 0.1
    client.connection_pool.reset()
    with pytest.raises(redis.TimeoutError):
        client.get("a")
    proxy.heal()
    assert client.ping()


def test_half_a_reply_is_a_lost_connection(proxy, client):
    """At every byte of it."""
    client.set("a", "1")
    for size in range(7):  # $1\r\n1\r\n
        client.ping()
        proxy.replies.cut = Cut(size)
        with pytest.raises(redis.ConnectionError):
            client.get("a")


def test_replies_can_be_swapped(proxy, client):
    """What an evil server would do: each key's value for the other."""
    client.mset({"a": "for a", "b": "for b"})
    exchange = {b"$5\r\nfor a\r\n": b"$5\r\nfor b\r\n", b"$5\r\nfor b\r\n": b"$5\r\nfor a\r\n"}
    proxy.replies.framed = True
    proxy.replies.rewrite = lambda frame: exchange.get(frame, frame)
    assert (client.get("a"), client.get("b")) == (b"for b", b"for a")


def test_two_servers_follow_each_other_under_one_address(proxy, client, redis_servers):
    """A failover: the address stays, who answers there does not."""
    client.set("a", "old")
    other = redis_servers()
    proxy.target = ("127.0.0.1", other.port)
    assert client.get("a") == b"old"
    proxy.drop()
    assert client.get("a") is None


def test_it_works_under_gevent(redis_server):
    """Threads and selectors are looked up late: patched ones serve as well."""
    pytest.importorskip("gevent")
    script = pathlib.Path(__file__).with_name("gevent_proxy.py")
    done = subprocess.run(
        [sys.executable, script, str(redis_server.port)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == ("all well", "")
