"""`greencache redis-config`."""

import os

import pytest
import redis
from typer.testing import CliRunner

from greencache.cli.app import app
from greencache.config import CacheConfig, RedisTopology
from greencache.deploy import Plan, render
from greencache.typing import CacheTier


def run(*words, **environment):
    """Run the command."""
    return CliRunner().invoke(app, ["redis-config", *map(str, words)], env=environment)


@pytest.fixture
def config(tmp_path):
    """Write a configuration of an L2 and an L3."""

    def write(l2="redis://localhost", server="{maxmemory: 64MiB, compare: false}"):
        path = tmp_path / "cache.yaml"
        path.write_text(
            f"l2: {{url: '{l2}', server: {server}}}\nl3: {{url: 'redis+sentinel://s1,s2,s3/factors'}}\n"
            "profiles: {small: {l3: {server: {maxmemory: 32MiB}}}}\n",
            encoding="utf-8",
        )
        return path

    return write


def test_everything_is_rendered_by_default(tmp_path, config):
    """For L3, in the topology that its address implies, with a profile; scripts can be run."""
    folder = tmp_path / "out"
    path = config()
    done = run("--config", path, "--profile", "small", "--output", folder)
    assert done.exit_code == 0, done.output
    made = Plan.of(CacheConfig.load(path, profile="small"), CacheTier.L3)
    assert {each.name: each.read_text(encoding="utf-8") for each in folder.iterdir()} == render(made)
    assert "sentinel monitor factors" in (folder / "sentinel.conf").read_text(encoding="utf-8")
    assert f"maxmemory {32 << 20}" in (folder / "redis.conf").read_text(encoding="utf-8")
    assert os.access(folder / "start.sh", os.X_OK)
    assert "note: the cache is meant to take 10 GB" in done.output


def test_one_kind_one_tier_and_another_topology_can_be_chosen(tmp_path, config):
    """Only what was asked for."""
    done = run(
        "kubernetes",
        "--config",
        config(),
        "--tier",
        "l2",
        "--topology",
        "cluster",
        "--output",
        tmp_path / "o",
    )
    assert done.exit_code == 0, done.output
    assert [each.name for each in (tmp_path / "o").iterdir()] == ["kubernetes.yaml"]
    expected = render(
        Plan.of(CacheConfig.load(config()), CacheTier.L2, RedisTopology.CLUSTER), ["kubernetes"]
    )
    assert (tmp_path / "o" / "kubernetes.yaml").read_text(encoding="utf-8") == expected["kubernetes.yaml"]


@pytest.mark.parametrize("words", [["helm"], ["--config", "no-such.yaml"]])
def test_what_cannot_be_done_is_one_line(tmp_path, words):
    """With the exit status 2."""
    done = run(*words, "--output", tmp_path / "o")
    assert done.exit_code == 2
    assert len(done.output.splitlines()) == 1
    assert not (tmp_path / "o").exists()


def test_a_running_server_is_compared_and_changed_only_when_that_is_asked_for(redis_servers, config):
    """Also where health_check does not compare."""
    server = redis_servers()
    words = [
        "--tier",
        "l2",
        "--config",
        config(server.url, "{maxmemory: 64MiB, compare: false, directives: {databases: 3}}"),
    ]
    checked = run(*words, "--check")
    assert checked.exit_code == 1, checked.output
    assert f"127.0.0.1:{server.port} has '0': maxmemory is to be '{64 << 20}'" in checked.output
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        assert client.config_get("maxmemory")["maxmemory"] == "0"
        applied = run(*words, "--apply")
        assert client.config_get("maxmemory")["maxmemory"] == str(64 << 20)
    assert applied.exit_code == 1
    assert "databases: '16' to '3': needs a restart" in applied.output
    assert "maxmemory: '0' to '67108864': set" in applied.output
    again = run(*words, "--check")
    assert [line for line in again.output.splitlines() if "databases" not in line] == []
    server.kill()
    for word in ("--check", "--apply"):
        assert run(*words, word).exit_code == 2


def test_a_server_as_configured_is_well(redis_servers, config):
    """Nothing to say, nothing to do."""
    server = redis_servers()
    words = ["--tier", "l2", "--config", config(server.url, "{maxmemory: 64MiB}")]
    assert run(*words, "--apply").exit_code == 0
    for word in ("--check", "--apply"):
        done = run(*words, word)
        assert (done.exit_code, done.output) == (0, "as configured\n")
