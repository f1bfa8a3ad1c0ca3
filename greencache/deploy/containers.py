"""What Docker Compose and Kubernetes have in common: which containers there are, and what each is told."""

import dataclasses
from collections.abc import Iterator, Mapping

from greencache.config import RedisTopology
from greencache.deploy.plan import PORT, SENTINEL_PORT, Plan

__all__ = ["CONF_FOLDER", "DATA_FOLDER", "GROUP", "RUN_FOLDER", "SECRET_FOLDER", "USER", "Group", "groups"]

CONF_FOLDER = "/etc/greencache"
DATA_FOLDER = "/data"
RUN_FOLDER = "/run/greencache"
SECRET_FOLDER = "/run/secrets"  # noqa: S105 -- where it is
USER, GROUP = 999, 1000
"""The user of Redis in the images of Redis and of Valkey."""


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """Containers that are alike.

    Args:
        name: What they are called, each with its number.
        mode: What they start, as an argument of start.sh.
        count: How many there are.
        port: Where they listen.
        memory: Bytes that one may use.
        cpu: Cores that one may use.
        storage: Bytes of its disk.
        environment: What all of them are told.
    """

    name: str
    mode: str
    count: int
    port: int
    memory: int
    cpu: float
    storage: int
    environment: Mapping[str, str]

    @property
    def ready(self) -> str:
        """The argument of start.sh that asks whether one answers."""
        return "ready-sentinel" if self.mode == "sentinel" else "ready"

    @property
    def alive(self) -> str:
        """The argument of start.sh that asks whether one runs at all."""
        return "ready-sentinel" if self.mode == "sentinel" else "alive"

    def members(self, suffix: str = "") -> list[str]:
        """Return the names of all, with what a network appends to them."""
        return [f"{self.name}-{number}{suffix}" for number in range(self.count)]


def groups(plan: Plan, suffixes: tuple[str, str] = ("", "")) -> Iterator[Group]:
    """Yield the data servers, and the sentinels if there are any.

    Args:
        plan: What is set up.
        suffixes: What the network appends to the names of data servers, and of sentinels.
    """
    sentinel = plan.server.sentinel
    data = Group(
        name=plan.name,
        mode="server",
        count=plan.count,
        port=PORT,
        memory=plan.memory,
        cpu=plan.server.container.cpu,
        storage=plan.storage,
        environment={},
    )
    login = {"REDIS_PASSWORD_FILE": f"{SECRET_FOLDER}/{plan.server.container.secret}"}
    if plan.username is not None:
        login["REDIS_USER"] = plan.username
    if plan.topology is not RedisTopology.SENTINEL:
        yield dataclasses.replace(data, environment=login)
        return
    watch = Group(
        f"{plan.name}-sentinel", "sentinel", sentinel.sentinels, SENTINEL_PORT, 64 << 20, 0.1, 64 << 20, {}
    )
    watchers = " ".join(f"{name}:{SENTINEL_PORT}" for name in watch.members(suffixes[1]))
    environment = {
        **login,
        "REDIS_SERVICE": plan.service,
        "REDIS_SENTINELS": watchers,
        "REDIS_PRIMARY": f"{data.members(suffixes[0])[0]}:{PORT}",
    }
    yield dataclasses.replace(data, environment=environment)
    yield dataclasses.replace(watch, environment={**environment, "REDIS_PORT": str(SENTINEL_PORT)})
