"""The servers of a tier as services of Docker Compose, on one host."""

from typing import Any

from greencache.config import RedisTopology
from greencache.config.yaml_text import to_yaml
from greencache.deploy.containers import (
    CONF_FOLDER,
    DATA_FOLDER,
    GROUP,
    RUN_FOLDER,
    USER,
    Group,
    groups,
)
from greencache.deploy.plan import PORT, TLS_FOLDER, Plan

__all__ = ["PASSWORD_VARIABLE", "compose_file"]

PASSWORD_VARIABLE = "GREENCACHE_REDIS_PASSWORD"  # noqa: S105 -- its name

_HEAD = f"""\
# {{title}}
# Rendered by `greencache redis-config`; change the configuration of the cache instead of this file.
#
#     {PASSWORD_VARIABLE}=… docker compose up -d
"""


def compose_file(plan: Plan) -> str:
    """Return `compose.yaml`, which uses the other rendered files beside it."""
    all_groups = list(groups(plan))
    services = {name: _service(plan, group, name) for group in all_groups for name in group.members()}
    if plan.topology is RedisTopology.CLUSTER:
        services[f"{plan.name}-create"] = _creation(plan, all_groups[0])
    names = ["redis.conf", "start.sh"] + (
        ["sentinel.conf"] if plan.topology is RedisTopology.SENTINEL else []
    )
    whole = {
        "name": plan.name,
        "services": services,
        "configs": {_config_name(name): {"file": f"./{name}"} for name in names},
        "secrets": {plan.server.container.secret: {"environment": PASSWORD_VARIABLE}},
        "volumes": {name: {} for group in all_groups for name in group.members()},
    }
    title = f"{plan.name}: {plan.topology}, {plan.count} of Redis, for clients in the same network."
    if plan.topology is RedisTopology.STANDALONE:
        title = f"{plan.name}: a Redis for the programs of this host."
    if plan.has_tls:
        title += f"\n# tls.crt, tls.key and ca.crt are in ./tls, for user {USER} to read."
    return _HEAD.format(title=title) + to_yaml([whole])


def _service(plan: Plan, group: Group, name: str) -> dict[str, Any]:
    service = {
        **_container(plan, group),
        "hostname": name,
        "command": ["sh", f"{CONF_FOLDER}/start.sh", group.mode],
        "volumes": [f"{name}:{DATA_FOLDER}", *_tls_volumes(plan)],
        "healthcheck": {
            "test": ["CMD", "sh", f"{CONF_FOLDER}/start.sh", group.ready],
            "interval": "10s",
            "timeout": "6s",
            "retries": 3,
            "start_period": "60s",
        },
        "restart": "unless-stopped",
        "stop_grace_period": "60s",
    }
    if plan.topology is RedisTopology.SENTINEL:
        service["environment"] = {**group.environment, "REDIS_ANNOUNCE": name}
    if plan.topology is RedisTopology.STANDALONE:
        service["ports"] = [f"127.0.0.1:{PORT}:{PORT}"]
    return service


def _creation(plan: Plan, group: Group) -> dict[str, Any]:
    """Return the service that makes a Cluster of the others, and ends."""
    nodes = " ".join(f"{name}:{PORT}" for name in group.members())
    replicas = str(plan.server.cluster.replicas)
    return {
        **_container(plan, group),
        "environment": {**group.environment, "REDIS_NODES": nodes, "REDIS_REPLICAS": replicas},
        "command": ["sh", f"{CONF_FOLDER}/start.sh", "create"],
        "depends_on": {name: {"condition": "service_healthy"} for name in group.members()},
        "restart": "on-failure",
    }


def _container(plan: Plan, group: Group) -> dict[str, Any]:
    files = ["redis.conf", "start.sh"] if group.mode == "server" else ["sentinel.conf", "start.sh"]
    return {
        "image": plan.server.container.image,
        "user": f"{USER}:{GROUP}",
        "environment": dict(group.environment),
        "configs": [{"source": _config_name(name), "target": f"{CONF_FOLDER}/{name}"} for name in files],
        "secrets": [plan.server.container.secret],
        **({"volumes": _tls_volumes(plan)} if plan.has_tls else {}),
        "tmpfs": [f"{RUN_FOLDER}:uid={USER},gid={GROUP},mode=0700"],
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "ulimits": {"nofile": plan.server.maxclients + 1_024},
        "deploy": {"resources": {"limits": {"memory": f"{group.memory}b", "cpus": f"{group.cpu:g}"}}},
    }


def _tls_volumes(plan: Plan) -> list[str]:
    return [f"./tls:{TLS_FOLDER}:ro"] if plan.has_tls else []


def _config_name(file: str) -> str:
    return file.replace(".", "-")
