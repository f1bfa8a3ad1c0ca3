"""What a Redis says about itself."""

import pytest

from greencache.backends.redis_health import RedisHealth, parse_info, read_health

INFO = b"""# Server\r
redis_version:7.2.4\r
valkey_version:9.1.2\r
run_id:abc\r
uptime_in_seconds:61\r
\r
# Memory\r
used_memory:1000\r
maxmemory:2000\r
maxmemory_policy:allkeys-lru\r
# Persistence\r
rdb_last_bgsave_status:ok\r
aof_last_write_status:err\r
# Stats\r
keyspace_hits:3\r
keyspace_misses:1\r
evicted_keys:7\r
connected_clients:5\r
role:master\r
master_replid:def\r
"""


def test_reads_what_the_server_tells():
    """Typed, in the units that it names."""
    assert read_health(parse_info(INFO), 0.002) == RedisHealth(
        up=True,
        latency_ms=2.0,
        server="valkey",
        version="9.1.2",
        used_memory=1000,
        max_memory=2000,
        maxmemory_policy="allkeys-lru",
        connected_clients=5,
        evicted_keys=7,
        hit_rate=0.75,
        role="master",
        run_id="abc",
        replication_id="def",
        uptime=61.0,
        is_persisting=False,
    )


@pytest.mark.parametrize(
    "reply", [b"", b"\xff\xfe", b"used_memory:many\r\nkeyspace_hits:0\r\nkeyspace_misses:0\r\n"]
)
def test_what_it_does_not_tell_is_none(reply):
    """Also where there is nothing to divide by."""
    health = read_health(parse_info(reply), 0.001)
    assert health.up
    assert health.used_memory is None
    assert health.hit_rate is None
    assert health.is_persisting is None


def test_a_living_server_is_healthy(new_manager, redis_url):
    """With a latency, a version and a hit rate."""
    manager = new_manager(redis_url)
    manager.execute("SET", "key", 1)
    manager.execute("GET", "key")
    health = manager.check()
    assert health.up
    assert health.error is None
    assert 0 < health.latency_ms < 5_000
    assert health.version
    assert health.role == "master"
    assert 0 < health.hit_rate <= 1
    assert health.run_id


def test_a_dead_server_is_an_answer_too(new_manager, strange_server):
    """Nothing is raised, and it is said what happened."""
    server = strange_server(lambda _: None)
    server.close()
    health = new_manager(server.url).check()
    assert not health.up
    assert f"127.0.0.1:{server.port} cannot be reached" in health.error
    assert health.latency_ms is None


def test_a_hung_server_is_down_by_the_deadline(new_manager, strange_server):
    """Not later."""
    server = strange_server(lambda _: server.is_over.wait(10))
    health = new_manager(server.url).check(deadline=0.2)
    assert not health.up
    assert "did not answer in time" in health.error


def test_a_closed_manager_is_down(new_manager, redis_url):
    """It says so instead of raising."""
    manager = new_manager(redis_url)
    manager.close()
    assert "closed" in manager.check().error
