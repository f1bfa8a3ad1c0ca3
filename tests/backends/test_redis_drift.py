"""Where running servers differ from their settings, and what of that can be changed."""

import pytest
import redis

from greencache.backends.redis_drift import is_same_setting
from greencache.backends.redis_report import Drift, SettingOutcome
from greencache.errors import TierUnavailableError


def found(health):
    """Return what differs, as the servers' names for it."""
    return {(drift.setting, drift.expected, drift.found) for drift in health.drift}


def test_a_server_that_is_as_configured_has_no_drift(new_manager, redis_servers):
    """However a size is spelled."""
    server = redis_servers(maxmemory="100mb", maxmemory_policy="allkeys-lru")
    expected = {"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru", "save": "", "appendonly": "no"}
    health = new_manager(server.url, server_settings=expected).check()
    assert (health.drift, health.settings_error) == ((), "")


def test_what_differs_is_told_with_both_values(new_manager, redis_servers):
    """Also a setting that the server does not know."""
    server = redis_servers()
    expected = {"maxmemory": "2048", "maxmemory-policy": "noeviction", "no-such-setting": "1"}
    health = new_manager(server.url, server_settings=expected).check()
    place = f"127.0.0.1:{server.port}"
    assert health.drift == (
        Drift(place, "maxmemory", "2048", "0"),
        Drift(place, "no-such-setting", "1", None),
    )
    assert str(health.drift[0]) == f"{place} has '0': maxmemory is to be '2048'"
    assert health.up


def test_without_settings_nothing_is_asked(new_manager, redis_servers):
    """Whoever gives none wants no comparison."""
    server = redis_servers()
    with redis.Redis.from_url(server.url) as client:
        asked = [client.info("commandstats").get(name) for name in ("cmdstat_config|get", "cmdstat_config")]
        new_manager(server.url).check()
        again = [client.info("commandstats").get(name) for name in ("cmdstat_config|get", "cmdstat_config")]
    assert asked == again


def test_checking_changes_nothing_and_applying_sets_what_may_be_set(new_manager, redis_servers):
    """The rest is said: what needs a restart, what the server does not know, what it refuses."""
    server = redis_servers()
    expected = {
        "maxmemory-policy": "allkeys-lru",
        "maxmemory": "50mb",
        "save": "900 1 300 10",
        "databases": "3",
        "no-such-setting": "1",
        "appendfsync": "sometimes",
    }
    manager = new_manager(server.url, server_settings=expected)
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        assert len(manager.check().drift) == len(expected)
        assert client.config_get("maxmemory")["maxmemory"] == "0"
        applied = {each.drift.setting: each for each in manager.apply_settings()}
        assert client.config_get("maxmemory")["maxmemory"] == str(50 * 1024 * 1024)
        assert client.config_get("save")["save"] == "900 1 300 10"
    assert {name: each.outcome for name, each in applied.items()} == {
        "maxmemory-policy": SettingOutcome.SET,
        "maxmemory": SettingOutcome.SET,
        "save": SettingOutcome.SET,
        "databases": SettingOutcome.NEEDS_RESTART,
        "no-such-setting": SettingOutcome.UNKNOWN,
        "appendfsync": SettingOutcome.REFUSED,
    }
    assert applied["appendfsync"].reason
    left = {"databases", "no-such-setting", "appendfsync"}
    assert {drift.setting for drift in manager.check().drift} == left


@pytest.mark.parametrize("how", ["acl", "renamed"])
def test_a_server_that_refuses_config_is_up_and_says_so(new_manager, redis_servers, how):
    """As managed ones do; the pool's connections stay as they are."""
    if how == "acl":
        server = redis_servers()
        with redis.Redis.from_url(server.url) as client:
            client.execute_command("ACL", "SETUSER", "app", "on", ">geheim", "~*", "&*", "+@all", "-config")
        login = {"username": "app", "password": "geheim"}
    else:
        server, login = redis_servers(arguments=["--rename-command", "CONFIG", ""]), {}
    manager = new_manager(server.url, server_settings={"maxmemory": "1"}, **login)
    before = [manager.check(), manager.check()][-1]
    connections = manager.pools[0].connections()
    health = manager.check()
    assert health.up
    assert (health.error, health.drift) == (None, ())
    assert "config" in health.settings_error.casefold()
    assert "geheim" not in health.settings_error
    assert health.settings_error == before.settings_error
    assert manager.pools[0].connections() == connections
    with pytest.raises(TierUnavailableError, match=r"(?i)config"):
        manager.apply_settings()


def test_a_server_that_is_down_differs_in_nothing(new_manager, redis_servers):
    """It is down, and that is said; nothing can be set."""
    server = redis_servers()
    manager = new_manager(server.url, server_settings={"maxmemory": "1"})
    server.kill()
    assert not manager.check().up
    assert manager.check().drift == ()
    with pytest.raises(TierUnavailableError):
        manager.apply_settings()


def test_behind_sentinels_the_primary_and_all_replicas_are_compared(
    new_manager, redis_sentinel, redis_sentinel_url
):
    """A replica with other settings is one that will be primary some day."""
    manager = new_manager(redis_sentinel_url, server_settings={"maxmemory": "77mb"})
    health = manager.check()
    nodes = {f"127.0.0.1:{node.port}" for node in redis_sentinel.nodes}
    assert {drift.server for drift in health.drift} == nodes
    assert health.drift[0].server == f"127.0.0.1:{redis_sentinel.primary.port}"
    assert {replica.server for replica in health.replicas} == nodes - {health.drift[0].server}
    assert {replica.state for replica in health.replicas} == {"online"}
    assert 0 <= health.replication_lag < 60


def test_in_a_cluster_every_node_is_compared(new_manager, redis_cluster, redis_cluster_url):
    """Each primary, and each replica that can become one."""
    manager = new_manager(redis_cluster_url, server_settings={"maxmemory": "77mb"})
    health = manager.check()
    nodes = sorted(f"127.0.0.1:{node.port}" for node in redis_cluster.nodes)
    assert sorted(drift.server for drift in health.drift) == nodes
    assert health.keyspace_hits is not None


def test_settings_are_applied_to_replicas_too(new_manager, redis_sentinels):
    """Else the next failover would undo them."""
    servers = redis_sentinels(replicas=1)
    manager = new_manager(servers.url, server_settings={"maxmemory": "77mb"})
    applied = manager.apply_settings()
    assert [each.outcome for each in applied] == [SettingOutcome.SET] * 2
    assert manager.check().drift == ()
    values = {node.execute("CONFIG", "GET", "maxmemory")[1] for node in servers.nodes}
    assert values == {str(77 * 1024 * 1024)}


@pytest.mark.parametrize(
    ("expected", "value", "is_same"),
    [
        ("64mb", "67108864", True),
        ("64MB", "67108864", True),
        ("64m", "64000000", True),
        ("yes", "YES", True),
        ("", "", True),
        ("", "900 1", False),
        ("1", "10", False),
        ("1kb", "1k", False),
        ("1", None, False),
        ("1xb", "1", False),
    ],
)
def test_spellings_that_mean_the_same_are_no_drift(expected, value, is_same):
    """The server tells sizes in bytes."""
    assert is_same_setting(expected, value) is is_same
