"""The servers of a tier as manifests for Kubernetes."""

from collections.abc import Iterator
from typing import Any

from greencache.config import RedisTopology
from greencache.config.yaml_text import to_yaml
from greencache.deploy.containers import Group, groups
from greencache.deploy.plan import PORT, Plan
from greencache.deploy.pods import pod_spec

__all__ = ["manifests"]

_TLS = """\
#     kubectl create secret generic {secret} --from-file=tls.crt --from-file=tls.key --from-file=ca.crt
"""
_HEAD = """\
# {name}: {topology}, {count} of Redis.
# Rendered by `greencache redis-config`; change the configuration of the cache instead of this file.
# The password is in a Secret that is made apart from this:
#
#     kubectl create secret generic {secret} --from-literal=password="$(openssl rand -base64 24)"
{tls}#     kubectl apply -f kubernetes.yaml
#
# Clients connect to {address}
"""


def manifests(plan: Plan, files: dict[str, str]) -> str:
    """Return all manifests in one text.

    Args:
        plan: What is set up.
        files: The contents of `redis.conf`, `start.sh` and perhaps `sentinel.conf`.
    """
    container = plan.server.container
    head = _HEAD.format(
        name=plan.name,
        topology=plan.topology,
        count=plan.count,
        secret=container.secret,
        tls=_TLS.format(secret=container.tls_secret) if plan.has_tls else "",
        address=_address(plan),
    )
    return head + to_yaml(_objects(plan, files))


def _objects(plan: Plan, files: dict[str, str]) -> Iterator[dict[str, Any]]:
    yield {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(plan.name, plan.name),
        "data": files,
    }
    # A StatefulSet's pods are called name-0.name in the namespace, after its headless Service.
    all_groups = list(groups(plan, (f".{plan.name}", f".{plan.name}-sentinel")))
    for group in all_groups:
        yield _service(group)
        yield _disruption_budget(group)
        yield _stateful_set(plan, group)
    if plan.topology is RedisTopology.CLUSTER:
        yield _creation(plan, all_groups[0])


def _metadata(name: str, instance: str) -> dict[str, Any]:
    return {"name": name, "labels": {**_labels(instance), "app.kubernetes.io/managed-by": "greencache"}}


def _labels(instance: str) -> dict[str, str]:
    return {"app.kubernetes.io/name": "redis", "app.kubernetes.io/instance": instance}


def _service(group: Group) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(group.name, group.name),
        "spec": {
            "clusterIP": "None",
            # Members find each other before they are ready: that is how they become so.
            "publishNotReadyAddresses": True,
            "selector": _labels(group.name),
            "ports": [{"name": "redis", "port": group.port, "targetPort": "redis"}],
        },
    }


def _disruption_budget(group: Group) -> dict[str, Any]:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _metadata(group.name, group.name),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": _labels(group.name)}},
    }


def _stateful_set(plan: Plan, group: Group) -> dict[str, Any]:
    claim: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": str(group.storage)}},
    }
    if plan.server.container.storage_class is not None:
        claim["storageClassName"] = plan.server.container.storage_class
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": _metadata(group.name, group.name),
        "spec": {
            "serviceName": group.name,
            "replicas": group.count,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": _labels(group.name)},
            "template": {
                "metadata": {"labels": _labels(group.name)},
                "spec": {
                    **pod_spec(plan, group),
                    "topologySpreadConstraints": [_spread(group)],
                    "terminationGracePeriodSeconds": 60,
                },
            },
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": claim}],
        },
    }


def _spread(group: Group) -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": _labels(group.name)},
    }


def _creation(plan: Plan, group: Group) -> dict[str, Any]:
    """Return the Job that makes a Cluster of the pods, unless there is one."""
    nodes = " ".join(f"{name}:{PORT}" for name in group.members(f".{plan.name}"))
    extra = {"REDIS_NODES": nodes, "REDIS_REPLICAS": str(plan.server.cluster.replicas)}
    name = f"{plan.name}-create"
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(name, name),
        "spec": {
            "backoffLimit": 10,
            "template": {
                "metadata": {"labels": _labels(name)},
                "spec": {**pod_spec(plan, group, job=extra), "restartPolicy": "OnFailure"},
            },
        },
    }


def _address(plan: Plan) -> str:
    (*data,) = groups(plan, (f".{plan.name}", f".{plan.name}-sentinel"))
    first = ",".join(f"{name}:{data[0].port}" for name in data[0].members(f".{plan.name}"))
    if plan.topology is RedisTopology.SENTINEL:
        places = data[0].environment["REDIS_SENTINELS"].replace(" ", ",")
        return f"{plan.scheme}+sentinel://{places}/{plan.service}"
    if plan.topology is RedisTopology.CLUSTER:
        return f"{plan.scheme}+cluster://{first}"
    return f"{plan.scheme}://{first}/0"
