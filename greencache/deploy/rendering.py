"""Which files are rendered, and where they go."""

import pathlib
from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from greencache.config import RedisTopology
from greencache.deploy.compose import compose_file
from greencache.deploy.kubernetes import manifests
from greencache.deploy.plan import Plan
from greencache.deploy.redis_conf import create_script, node_conf, redis_conf, sentinel_conf

__all__ = ["KINDS", "Kind", "render"]

Kind: TypeAlias = Literal["conf", "compose", "kubernetes"]
KINDS: Final[tuple[Kind, ...]] = ("conf", "compose", "kubernetes")


def render(plan: Plan, kinds: Iterable[Kind] = KINDS) -> dict[str, str]:
    """Return the names and the contents of files.

    Args:
        plan: What is set up.
        kinds: Which files: "conf" for those that servers read, "compose", "kubernetes".
    """
    wanted = set(kinds)
    shared = {"redis.conf": redis_conf(plan), "start.sh": _start_script()}
    if plan.topology is RedisTopology.SENTINEL:
        shared["sentinel.conf"] = sentinel_conf(plan)
    files: dict[str, str] = {}
    if wanted & {"conf", "compose"}:
        files |= shared
    if "conf" in wanted and plan.topology is RedisTopology.CLUSTER:
        files |= {f"node-{number}.conf": node_conf(plan, number) for number in range(1, plan.count + 1)}
        files["create.sh"] = create_script(plan)
    if "compose" in wanted:
        files["compose.yaml"] = compose_file(plan)
    if "kubernetes" in wanted:
        files["kubernetes.yaml"] = manifests(plan, shared)
    return files


def _start_script() -> str:
    return (pathlib.Path(__file__).parent / "start.sh").read_text(encoding="utf-8")
