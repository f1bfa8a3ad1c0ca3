"""Promises of Redis Cluster: servers that share slots and fail over for real."""

import contextlib

import pytest
import redis

from greencache.testing import RedisClusterServers
from greencache.testing.servers import LOCAL, ServerControlError
from greencache.testing.servers.family import is_running


def field_client(servers, **options):
    """Return a client of redis-py, for a with block."""
    return contextlib.closing(redis.RedisCluster("127.0.0.1", servers.port, decode_responses=True, **options))


def test_slots_are_shared_and_writes_replicated(redis_cluster, redis_cluster_url):
    """Three primaries with a replica each, which a client of the field finds."""
    cluster = redis_cluster
    assert redis_cluster_url.startswith("redis+cluster://127.0.0.1:")
    assert (len(cluster.primaries), len(cluster.replicas)) == (3, 3)
    assert {len(cluster.replicas_of(primary)) for primary in cluster.primaries} == {1}
    with field_client(cluster) as client:
        for number in range(30):
            client.set(f"key{number}", number)
    assert all(primary.execute("DBSIZE") for primary in cluster.primaries)
    owner = cluster.slot_owner("key7")
    assert owner.execute("GET", "key7") == "7"
    assert cluster.slot_of("key7") == cluster.slot_of("{key7}:more")
    cluster.flush()
    assert [node.execute("DBSIZE") for node in cluster.nodes] == [0] * 6


def test_after_a_primarys_death_its_replica_owns_its_slots(redis_cluster, redis_cluster_url):
    """All that live agree, and the dead one comes back as a replica of its successor."""
    old = redis_cluster.slot_owner("key")
    (replica,) = redis_cluster.replicas_of(old)
    with field_client(redis_cluster) as client:
        client.set("key", "value")
    assert old.execute("WAIT", 1, 5_000) == 1
    old.kill()
    assert redis_cluster.await_failover(old) is replica
    assert redis_cluster.slot_owner("key") is replica
    assert replica.execute("GET", "key") == "value"
    redis_cluster.heal()
    assert redis_cluster.replicas_of(replica) == [old]


@pytest.mark.parametrize("how", ["", "TAKEOVER"])
def test_an_operator_can_promote_a_replica(redis_cluster, redis_cluster_url, how):
    """CLUSTER FAILOVER, while all are well."""
    old = redis_cluster.slot_owner("key")
    new = redis_cluster.failover(old, how=how)
    assert redis_cluster.slot_owner("key") is new
    redis_cluster.heal()
    assert redis_cluster.replicas_of(new) == [old]


def test_a_frozen_primary_is_replaced(redis_cluster, redis_cluster_url):
    """SIGSTOP: connections stay open, nobody answers."""
    old = redis_cluster.primaries[1]
    old.pause()
    assert redis_cluster.await_failover(old) is not old
    redis_cluster.heal()
    assert old.is_responsive


def test_a_slot_can_be_moved_and_held_halfway(redis_cluster, redis_cluster_url):
    """Clients are sent back and forth meanwhile, and no key is lost."""
    source = redis_cluster.slot_owner("{a}0")
    target = next(each for each in redis_cluster.primaries if each is not source)
    with field_client(redis_cluster) as client:
        for number in range(10):
            client.set(f"{{a}}{number}", number)
        migration = redis_cluster.migration(redis_cluster.slot_of("a"), target)
        migration.begin()
        assert migration.move_keys(limit=4) == 4
        with pytest.raises((redis.exceptions.AskError, redis.exceptions.TryAgainError)):
            source.execute("MGET", *(f"{{a}}{number}" for number in range(10)))
        assert [client.get(f"{{a}}{number}") for number in range(10)] == [str(number) for number in range(10)]
        assert migration.move_keys() == 6
        migration.finish()
        assert redis_cluster.slot_owner("a") is target
        assert [target.execute("GET", f"{{a}}{number}") for number in range(10)] == list(map(str, range(10)))
    assert redis_cluster.migrate_slot(redis_cluster.slot_of("a"), source) == 10


def test_nodes_come_and_go_and_nothing_is_left_running(redis_clusters):
    """A further primary takes a slot; while it owns one it cannot be removed. close() ends all."""
    cluster = redis_clusters(password=True, persist=True)
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=cluster.port).ping()
    source, slot = cluster.slot_owner("a"), cluster.slot_of("a")
    with field_client(cluster, password=cluster._password) as client:
        client.set("a", "value")
    node = cluster.add_node()
    replica = cluster.add_node(source)
    assert len(cluster.replicas_of(source)) == 2
    assert cluster.migrate_slot(slot, node) == 1
    with pytest.raises(ServerControlError, match="owns 1 slots; migrate them first"):
        cluster.remove_node(node)
    cluster.migrate_slot(slot, source)
    for each in (node, replica):
        cluster.remove_node(each)
        assert not each.is_running
    source.restart()
    cluster.heal()
    assert source.execute("GET", "a") == "value"
    pids, folders = [each.pid for each in cluster.nodes], [each._folder for each in cluster.nodes]
    assert len(pids) == 6
    cluster.close()
    assert not any(map(is_running, pids))
    assert not any(folder.exists() for folder in folders)


def test_a_cluster_of_the_environment_is_used_and_left_alone(redis_cluster, redis_cluster_url, monkeypatch):
    """Emptied where asked, but not stopped."""
    monkeypatch.setenv("GREENCACHE_TEST_CLUSTER_URL", redis_cluster_url)
    redis_cluster.slot_owner("key").execute("SET", "key", "value")
    with RedisClusterServers() as cluster:
        assert (cluster.source, cluster.url) == ("environment", redis_cluster_url)
        cluster.heal()
        cluster.flush()
        for forbidden in (cluster.pause, cluster.failover):
            with pytest.raises(ServerControlError, match="sources=LOCAL"):
                forbidden()
    assert redis_cluster.slot_owner("key").execute("GET", "key") is None


@pytest.mark.parametrize("source", RedisClusterServers(sources=LOCAL).sources_here()[1:])
def test_the_other_sources_of_this_machine_make_clusters(source):
    """Every program that is installed here can be a member; the first one is in the tests above."""
    with RedisClusterServers(sources=[source]) as cluster:
        assert cluster.source == source
        old = cluster.primaries[0]
        assert cluster.failover(old) is not old
