"""What a Redis says about itself."""

import pytest

from greencache.backends.redis_health import ask_health, parse_info, read_health
from greencache.backends.redis_report import RedisHealth, ReplicaHealth
from greencache.testing import FakeClock

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
        keyspace_hits=3,
        keyspace_misses=1,
        hit_rate=0.75,
        role="master",
        run_id="abc",
        replication_id="def",
        uptime=61.0,
        is_persisting=False,
        rdb_status="ok",
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


def test_replication_is_told_from_both_ends():
    """How late the worst replica is, and in a replica how late it is itself."""
    lines = (
        b"role:master\r\nmaster_repl_offset:1000\r\naof_enabled:1\r\naof_last_write_status:ok\r\n"
        b"slave0:ip=10.0.0.1,port=6379,state=online,offset=1000,lag=0\r\n"
        b"slave1:ip=10.0.0.2,port=6380,state=wait_bgsave,offset=400,lag=3\r\n"
    )
    health = read_health(parse_info(lines), 0.001)
    assert health.replicas == (
        ReplicaHealth("10.0.0.1:6379", "online", 0.0, 0),
        ReplicaHealth("10.0.0.2:6380", "wait_bgsave", 3.0, 600),
    )
    assert (health.replication_lag, health.aof_status) == (3.0, "ok")
    replica = read_health(parse_info(b"role:slave\r\nmaster_last_io_seconds_ago:7\r\n"), 0.001)
    assert replica.replication_lag == 7.0
    alone = read_health(parse_info(b"role:slave\r\nmaster_last_io_seconds_ago:-1\r\n"), 0.001)
    assert alone.replication_lag is None


def test_one_slow_answer_is_asked_for_again():
    """It may be this process that was slow; the best of three is the server's latency."""

    class Node:
        def __init__(self, clock, seconds):
            self.clock, self.seconds, self.asked = clock, [0, *seconds], 0

        def attempt_once(self, packed, count, deadline):
            if b"INFO" in packed:
                return [b"role:master\r\n"]
            self.clock.advance(self.seconds[self.asked])
            self.asked += 1
            return [b"PONG"]

    for seconds, latency, asked in (([0.01], 10, 2), ([0.3, 0.02], 20, 3), ([0.3, 0.2, 0.4], 200, 4)):
        clock = FakeClock()
        node = Node(clock, seconds)
        assert ask_health(node, clock, 5.0).latency_ms == pytest.approx(latency)
        assert node.asked == asked
