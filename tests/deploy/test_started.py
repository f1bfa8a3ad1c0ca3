"""The rendered files, read by real servers."""

import pytest
import redis

from greencache.backends.redis import RedisManager
from greencache.config import RedisTopology
from greencache.deploy import render
from greencache.deploy.redis_conf import node_conf
from greencache.testing import make_certificates, wait_until
from greencache.testing.servers.errors import ServerStartError
from greencache.testing.servers.redis_releases import product_of_program

STANDALONE, SENTINEL, CLUSTER = RedisTopology
ALL_CHANGED = {
    "maxmemory": "64MiB",
    "maxmemory_policy": "volatile-ttl",
    "save": ["15m 5"],
    "appendfsync": "always",
    "auto_aof_rewrite_percentage": 50,
    "auto_aof_rewrite_min_size": "1MiB",
    "min_replicas_to_write": 2,
    "min_replicas_max_lag": "3s",
    "maxclients": 100,
    "repl_backlog_size": "2MiB",
    "lazyfree": False,
    "directives": {"hz": 20, "client-output-buffer-limit": "normal 0 0 0"},
}


def as_started(node, names):
    """Return what a running server says of directives."""
    return {name: node.execute("CONFIG", "GET", name)[1] for name in names}


@pytest.mark.parametrize(
    "settings", [{}, ALL_CHANGED, {"save": [], "appendonly": False}], ids=["default", "changed", "off"]
)
@pytest.mark.parametrize("topology", [STANDALONE, CLUSTER])
def test_a_server_has_what_its_redis_conf_says(started, plan, binary, settings, topology):
    """Every directive, as CONFIG GET tells it; from Redis 6.2 on, and Valkey."""
    made = plan(topology, server=settings)
    node = started(binary, render(made, ["conf"]), ["{folder}/redis.conf"])
    expected = made.server.as_directives(topology)
    found = as_started(node, expected)
    limits = found.pop("client-output-buffer-limit", "normal 0 0 0")
    expected.pop("client-output-buffer-limit", None)
    assert limits.startswith("normal 0 0 0")
    assert found == expected
    assert as_started(node, ["cluster-enabled"]) == {
        "cluster-enabled": "yes" if topology is CLUSTER else "no"
    }
    with RedisManager(node.url, server_settings=expected) as manager:
        health = manager.check()
        assert (health.drift, health.settings_error) == ((), "")


def test_the_nodes_of_a_cluster_share_a_folder(started, plan, any_binary):
    """Each has files of its own there."""
    made = plan(CLUSTER, server={"maxmemory": "64MiB"})
    nodes = [
        started(any_binary, {"node.conf": node_conf(made, number)}, ["{folder}/node.conf"])
        for number in (1, 6)
    ]
    names = ("dbfilename", "appendfilename", "cluster-config-file")
    first, last = ({node.execute("CONFIG", "GET", name)[1] for name in names[:2]} for node in nodes)
    assert first == {"dump-7001.rdb", "appendonly-7001.aof"}
    assert last == {"dump-7006.rdb", "appendonly-7006.aof"}
    assert "cluster-config-file nodes-7006.conf" in node_conf(made, 6)


def test_a_sentinel_has_what_its_sentinel_conf_says(started, plan, binary):
    """Quorum, times, and the name of the service."""
    sentinel = {
        "sentinels": 5,
        "quorum": 4,
        "down_after": "3s",
        "failover_timeout": "20s",
        "parallel_syncs": 2,
    }
    made = plan(url="redis+sentinel://h1,h2/factors", server={"sentinel": sentinel})
    node = started(binary, render(made, ["conf"]), ["{folder}/sentinel.conf", "--sentinel"])
    facts = node.execute("SENTINEL", "MASTER", "factors")
    found = dict(zip(facts[::2], facts[1::2], strict=True))
    expected = {
        "quorum": "4",
        "down-after-milliseconds": "3000",
        "failover-timeout": "20000",
        "parallel-syncs": "2",
        "port": "6379",
    }
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    "policy", ["allkeys-lrm", "volatile-lrm", "noeviction", "allkeys-lfu", "allkeys-random", "volatile-lru"]
)
def test_every_policy_is_one_that_redis_knows(started, plan, any_binary, policy):
    """Those of newer servers are refused by older ones when they start, which names the policy."""
    made = plan(server={"maxmemory_policy": policy})
    if policy.endswith("-lrm") and not product_of_program(any_binary).startswith("Redis 8.6"):
        with pytest.raises(ServerStartError, match=f"maxmemory-policy {policy}"):
            started(any_binary, render(made, ["conf"]), ["{folder}/redis.conf"])
    else:
        node = started(any_binary, render(made, ["conf"]), ["{folder}/redis.conf"])
        assert as_started(node, ["maxmemory-policy"]) == {"maxmemory-policy": policy}


PASSWORD = "a\"b\\ 'c$HOME`é#%x"


@pytest.mark.parametrize("user", ["", "app"])
def test_start_sh_adds_the_login_from_a_file(started, plan, any_binary, tmp_path, user):
    """Whatever is in the password, which is in no rendered file."""
    made = plan(server={"maxmemory": "64MiB"}, username=user or None)
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n", encoding="utf-8")
    environment = {"REDIS_PASSWORD_FILE": str(secret)} | ({"REDIS_USER": user} if user else {})
    files = render(made, ["conf"])
    node = started(any_binary, files, ["server"], environment=environment, login=(user, PASSWORD))
    with RedisManager(f"redis://127.0.0.1:{node.port}", username=user or None, password=PASSWORD) as manager:
        assert manager.execute("SET", "a", 1) == b"OK"
    with redis.Redis(port=node.port) as stranger, pytest.raises(redis.RedisError):
        stranger.ping()
    assert not [name for name, text in files.items() if PASSWORD in text]
    assert as_started(node, ["maxmemory", "appendonly"]) == {"maxmemory": str(64 << 20), "appendonly": "yes"}


def test_start_sh_makes_replicas_and_sentinels_that_know_each_other(started, plan, any_binary, tmp_path):
    """With one login for all; a replica follows whom the sentinels name, and a sentinel remembers."""
    made = plan(SENTINEL, server={"maxmemory": "64MiB"}, username="app")
    files = render(made, ["conf"])
    secret = tmp_path / "password"
    secret.write_text(PASSWORD, encoding="utf-8")
    basic = {"REDIS_PASSWORD_FILE": str(secret), "REDIS_USER": "app", "REDIS_ANNOUNCE": "127.0.0.1"}

    def start(mode, login=("app", PASSWORD), **told):
        return started(any_binary, files, [mode], environment=basic | told, login=login)

    primary = start("server")
    place = f"127.0.0.1:{primary.port}"
    sentinel = start("sentinel", ("", PASSWORD), REDIS_PRIMARY=place)
    replica = start("server", REDIS_SENTINELS=f"127.0.0.1:1 127.0.0.1:{sentinel.port}")
    wait_until(lambda: replica.follows(primary), reason="the replica follows", deadline=30)

    def is_known():
        facts = sentinel.execute("SENTINEL", "MASTER", "mymaster")
        found = dict(zip(facts[::2], facts[1::2], strict=True))
        return found["flags"] == "master" and found["num-slaves"] == "1"

    wait_until(is_known, reason="the sentinel knows both", deadline=30)
    sentinel.stop()
    sentinel.start()
    wait_until(is_known, reason="the sentinel remembers both", deadline=30)
    again = RedisManager(
        f"redis+sentinel://127.0.0.1:{sentinel.port}/mymaster", username="app", password=PASSWORD
    )
    again.close()


@pytest.fixture
def certificates(tmp_path):
    """Those of the servers, under the names that start.sh knows."""
    made = make_certificates(tmp_path / "tls")
    for file, name in ((made.server, "tls.crt"), (made.server_key, "tls.key"), (made.authority, "ca.crt")):
        file.rename(file.with_name(name))
    return tmp_path / "tls"


@pytest.fixture
def started_by_tls(started, tls_binary, certificates):
    """Start servers that speak TLS."""

    def start(files, mode, **told):
        told |= {"REDIS_TLS_DIR": str(certificates), "REDIS_ANNOUNCE": "127.0.0.1"}
        return started(tls_binary, files, [mode], environment=told, authority=certificates / "ca.crt")

    return start


def test_servers_and_sentinels_speak_tls_to_all(started_by_tls, plan):
    """And nothing else; a replica follows its primary by it, and a sentinel watches both."""
    made = plan(url="rediss+sentinel://h/mymaster", server={"maxmemory": "64MiB"})
    files = render(made, ["conf"])
    primary = started_by_tls(files, "server")
    sentinel = started_by_tls(files, "sentinel", REDIS_PRIMARY=f"127.0.0.1:{primary.port}")
    replica = started_by_tls(files, "server", REDIS_SENTINELS=f"127.0.0.1:{sentinel.port}")
    with RedisManager(primary.url) as manager:
        assert manager.execute("PING") == b"PONG"
    with redis.Redis(port=primary.port) as stranger, pytest.raises(redis.RedisError):
        stranger.ping()
    wait_until(lambda: replica.follows(primary), reason="the replica follows", deadline=30)

    def is_known():
        facts = sentinel.execute("SENTINEL", "MASTER", "mymaster")
        found = dict(zip(facts[::2], facts[1::2], strict=True))
        return (found["flags"], found["num-slaves"]) == ("master", "1")

    wait_until(is_known, reason="the sentinel knows both", deadline=30)


def test_a_node_of_a_cluster_speaks_tls(started_by_tls, plan):
    """To the others too."""
    made = plan(url="rediss+cluster://h", server={"maxmemory": "64MiB"})
    node = started_by_tls(render(made, ["conf"]), "server")
    assert as_started(node, ["tls-cluster"]) == {"tls-cluster": "yes"}
    assert "cluster_state" in node.execute("CLUSTER", "INFO")
