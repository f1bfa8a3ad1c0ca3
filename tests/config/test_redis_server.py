"""How a tier's Redis servers are set up."""

import pytest

from greencache.config import CacheConfig, RedisServerConfig, RedisTopology
from greencache.errors import ConfigurationError

STANDALONE, SENTINEL, CLUSTER = RedisTopology


def test_the_defaults_are_those_of_a_cache_that_survives_a_restart():
    """allkeys-lru, 2048 MB as Redis counts them, snapshots after 900, 300 and 60 s, AOF everysec."""
    found = RedisServerConfig().as_directives(STANDALONE)
    assert found["maxmemory"] == str(2048 * 1024 * 1024)
    assert found["maxmemory-policy"] == "allkeys-lru"
    assert found["save"] == "900 1 300 10 60 10000"
    assert (found["appendonly"], found["appendfsync"]) == ("yes", "everysec")
    assert found["auto-aof-rewrite-percentage"] == "100"


def test_a_tier_has_its_own_settings_from_file_and_environment():
    """L2's and L3's are apart, and the environment gives text."""
    environ = {
        "GREENCACHE__L2__SERVER__MAXMEMORY": "100MB",
        "GREENCACHE__L2__SERVER__SAVE": '["15m 5"]',
        "GREENCACHE__L2__SERVER__DIRECTIVES": '{"hz": 20, "activedefrag": true}',
    }
    config = CacheConfig.load(environ=environ)
    found = config.l2.server.as_directives(config.l2.topology)
    assert (found["maxmemory"], found["save"]) == ("100000000", "900 5")
    assert (found["hz"], found["activedefrag"]) == ("20", "yes")
    assert config.l3.server == RedisServerConfig()


@pytest.mark.parametrize("value", ["no", False])
def test_no_is_a_way_to_sync_however_yaml_reads_it(value):
    """An unquoted no is a flag to YAML."""
    assert RedisServerConfig(appendfsync=value).as_directives(STANDALONE)["appendfsync"] == "no"


def test_nothing_saved_and_no_rewrite_can_be_said():
    """As Redis spells them."""
    found = RedisServerConfig(save=[], appendonly=False, auto_aof_rewrite_percentage=0)
    assert found.as_directives(STANDALONE)["save"] == ""
    assert found.as_directives(STANDALONE)["appendonly"] == "no"


@pytest.mark.parametrize(
    ("topology", "settings", "needed"),
    [
        (STANDALONE, {}, "0"),
        (SENTINEL, {}, "1"),
        (SENTINEL, {"sentinel": {"replicas": 1}}, "0"),
        (SENTINEL, {"min_replicas_to_write": 2}, "2"),
        (CLUSTER, {}, "0"),
        (CLUSTER, {"cluster": {"replicas": 2}}, "1"),
    ],
)
def test_a_primary_with_several_replicas_needs_one(topology, settings, needed):
    """It stops to acknowledge when it is cut off from all; with one replica, that could stop it too."""
    found = RedisServerConfig(**settings).as_directives(topology)
    assert found["min-replicas-to-write"] == needed


def test_only_a_cluster_has_directives_of_one():
    """Elsewhere they would be told as differences."""
    assert RedisServerConfig().as_directives(CLUSTER)["cluster-node-timeout"] == "5000"
    assert not [name for name in RedisServerConfig().as_directives(SENTINEL) if name.startswith("cluster")]


def test_most_sentinels_must_agree():
    """Unless said otherwise."""
    assert RedisServerConfig().sentinel.needed == 2
    assert RedisServerConfig(sentinel={"sentinels": 5}).sentinel.needed == 3
    assert RedisServerConfig(sentinel={"sentinels": 5, "quorum": 2}).sentinel.needed == 2


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"maxmemory_policy": "allkeys-lur"}, "allkeys-lru"),
        ({"maxmemory": 0}, "maxmemory"),
        ({"save": ["900"]}, "900 1"),
        ({"save": ["soon 1"]}, "duration"),
        ({"appendfsync": "sometimes"}, "appendfsync"),
        ({"directives": {"requirepass": "geheim"}}, "password_file"),
        ({"directives": {"port": "7000"}}, "take it out"),
        ({"directives": {"Max Memory": "1"}}, "redis.conf"),
        ({"directives": {"hz": "10\nrequirepass geheim"}}, "one line"),
        ({"sentinel": {"sentinels": 2}}, "sentinels"),
        ({"container": {"image": "redis:8; rm"}}, "image"),
    ],
)
def test_what_cannot_be_meant_is_refused(settings, said):
    """And the message names it, and no password."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        RedisServerConfig(**settings)
    assert "geheim" not in str(caught.value)
