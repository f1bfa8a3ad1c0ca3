"""start.sh's questions, with as much of redis-cli as it uses."""

import os
import pathlib
import subprocess
import sys

from greencache.config import RedisTopology
from greencache.deploy import render
from tests.deploy.conftest import CLI

SCRIPT = pathlib.Path(__file__).parents[2] / "greencache" / "deploy" / "start.sh"


def run(*words, **environment):
    """Run it and return what it printed, and its status."""
    path = f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/sh", SCRIPT, *words],
        env={"PATH": path, "REDIS_CLI": str(CLI), "REDIS_SERVER": "none"} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_probe_says_whether_a_server_answers(redis_servers):
    """With its password, and not with another."""
    server = redis_servers(password="geheim")
    for mode in ("ready", "alive", "ready-sentinel"):
        assert run(mode, REDIS_PORT=str(server.port), REDIS_PASSWORD="geheim") == (0, "")
        assert run(mode, REDIS_PORT=str(server.port), REDIS_PASSWORD="falsch")[0] != 0
    server.kill()
    assert run("alive", REDIS_PORT=str(server.port), REDIS_PASSWORD="geheim")[0] != 0


def test_a_cluster_is_made_of_addresses_and_only_once(redis_servers, redis_cluster, redis_cluster_url):
    """Nodes know each other by addresses; where there is a Cluster, nothing is done."""
    ports = [redis_servers().port for _ in range(3)]
    status, said = run(
        "create", REDIS_NODES=" ".join(f"localhost:{port}" for port in ports), REDIS_REPLICAS="0"
    )
    assert status == 0, said
    assert said.startswith("--cluster create ")
    assert "localhost" not in said
    assert said.endswith("--cluster-replicas 0 --cluster-yes\n")
    nodes = " ".join(f"127.0.0.1:{node.port}" for node in redis_cluster.nodes)
    assert run("create", REDIS_NODES=nodes) == (0, "there is a Cluster\n")


def test_another_word_is_refused():
    """With what is expected."""
    status, said = run("serve")
    assert status == 2
    assert "expected server, sentinel, create" in said


def test_the_create_command_names_all_nodes(plan, tmp_path):
    """Those of the rendered files, or others given to it."""
    files = render(plan(RedisTopology.CLUSTER, server={"cluster": {"primaries": 3, "replicas": 2}}), ["conf"])
    assert len([name for name in files if name.startswith("node-")]) == 9
    script = tmp_path / "create.sh"
    script.write_text(files["create.sh"])
    done = subprocess.run(
        ["/bin/sh", script],
        env=os.environ | {"REDIS_CLI": "echo"},
        capture_output=True,
        text=True,
        check=True,
    )
    places = [f"127.0.0.1:{port}" for port in range(7001, 7010)]
    assert done.stdout == f"--cluster create {' '.join(places)} --cluster-replicas 2 --cluster-yes\n"
