"""What runs in a pod of Kubernetes: a server, a sentinel, or what makes a Cluster."""

from collections.abc import Mapping
from typing import Any

from greencache.config import RedisTopology
from greencache.deploy.containers import (
    CONF_FOLDER,
    DATA_FOLDER,
    GROUP,
    RUN_FOLDER,
    SECRET_FOLDER,
    USER,
    Group,
)
from greencache.deploy.plan import TLS_FOLDER, Plan

__all__ = ["pod_spec"]


def pod_spec(plan: Plan, group: Group, job: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the spec of a pod.

    Args:
        plan: What is set up.
        group: Which of its containers.
        job: Environment variables of a pod that makes a Cluster of the others, and ends.
    """
    secret = plan.server.container.secret
    container = _container(plan, group) if job is None else _creator(plan, group, job)
    return {
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": GROUP,
            "fsGroup": GROUP,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": [
            {"name": "conf", "configMap": {"name": plan.name}},
            {
                "name": "secret",
                "secret": {
                    "secretName": secret,
                    "items": [{"key": "password", "path": secret}],
                    "defaultMode": 0o440,
                },
            },
            {"name": "run", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
            *_tls_volumes(plan),
        ],
    }


def _tls_volumes(plan: Plan) -> list[dict[str, Any]]:
    secret = {"secretName": plan.server.container.tls_secret, "defaultMode": 0o440}
    return [{"name": "tls", "secret": secret}] if plan.has_tls else []


def _container(plan: Plan, group: Group) -> dict[str, Any]:
    resources = {"memory": str(group.memory), "cpu": f"{group.cpu:g}"}
    basic = _basic(plan, group, group.mode, {})
    return {
        **basic,
        "ports": [{"name": "redis", "containerPort": group.port}],
        # Requests as large as limits: a server that stores what it was promised is not the first to go.
        "resources": {"requests": resources, "limits": {"memory": resources["memory"]}},
        # Loading its files may take long; until then neither of the other two counts.
        "startupProbe": {**_probe(group.alive), "periodSeconds": 5, "failureThreshold": 60},
        "readinessProbe": {**_probe(group.ready), "periodSeconds": 5, "failureThreshold": 3},
        "livenessProbe": {**_probe(group.alive), "periodSeconds": 10, "failureThreshold": 6},
        "volumeMounts": [*basic["volumeMounts"], {"name": "data", "mountPath": DATA_FOLDER}],
    }


def _creator(plan: Plan, group: Group, environment: Mapping[str, str]) -> dict[str, Any]:
    resources = {"memory": "64Mi", "cpu": "100m"}
    limits = {"requests": resources, "limits": {"memory": resources["memory"]}}
    return {**_basic(plan, group, "create", environment), "resources": limits}


def _basic(plan: Plan, group: Group, mode: str, environment: Mapping[str, str]) -> dict[str, Any]:
    told = [{"name": name, "value": value} for name, value in {**group.environment, **environment}.items()]
    return {
        "name": "redis",
        "image": plan.server.container.image,
        "command": ["sh", f"{CONF_FOLDER}/start.sh", mode],
        "env": [*_identity(plan, group), *told],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "conf", "mountPath": CONF_FOLDER, "readOnly": True},
            {"name": "secret", "mountPath": SECRET_FOLDER, "readOnly": True},
            {"name": "run", "mountPath": RUN_FOLDER},
            *([{"name": "tls", "mountPath": TLS_FOLDER, "readOnly": True}] if plan.has_tls else []),
        ],
    }


def _identity(plan: Plan, group: Group) -> list[dict[str, Any]]:
    """Return what a pod is to call itself: by its name, or, in a Cluster, by its address of the moment."""
    if plan.topology is RedisTopology.CLUSTER:
        return [_field("REDIS_ANNOUNCE", "status.podIP")]
    if plan.topology is RedisTopology.SENTINEL:
        name = {"name": "REDIS_ANNOUNCE", "value": f"$(POD_NAME).{group.name}"}
        return [_field("POD_NAME", "metadata.name"), name]
    return []


def _field(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def _probe(mode: str) -> dict[str, Any]:
    return {"exec": {"command": ["sh", f"{CONF_FOLDER}/start.sh", mode]}, "timeoutSeconds": 6}
