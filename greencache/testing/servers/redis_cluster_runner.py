"""Keeps the servers of a Redis Cluster running, and knows what they think of each other."""

import contextlib
import functools
from collections.abc import Callable

from greencache.testing.servers.errors import ServerControlError
from greencache.testing.servers.redis_group import GroupRunner, group_url
from greencache.testing.servers.redis_node import ClusterNode, RedisNode
from greencache.testing.servers.redis_view import SLOTS, ClusterView, NodeView
from greencache.testing.waiting import wait_until
from greencache.typing import Seconds

__all__ = ["CLUSTER_SCHEME", "ClusterRunner"]

CLUSTER_SCHEME = "redis+cluster"


class ClusterRunner(GroupRunner):
    """A `Runner` of a cluster.

    Args:
        new_node: Returns a server that was not started.
        primaries: How many own slots at the beginning.
        replicas: How many follow each of them.
        password: What clients must give; empty for none.
        deadline: Seconds for all to agree.
    """

    def __init__(
        self,
        new_node: Callable[[], ClusterNode],
        primaries: int,
        replicas: int,
        password: str,
        deadline: Seconds,
    ) -> None:
        super().__init__(deadline)
        self.new_node = new_node
        self.password = password
        self.nodes = [new_node() for _ in range(primaries * (1 + replicas))]
        self._primaries = primaries

    @property
    def members(self) -> list[RedisNode]:
        """All nodes."""
        return list(self.nodes)

    @property
    def url(self) -> str:
        """Where all nodes are."""
        return group_url(CLUSTER_SCHEME, self.nodes, self.password)

    # -- making it

    def build(self) -> None:
        """Introduce the nodes to each other, share the slots, and let the replicas follow."""
        primaries, replicas = self.nodes[: self._primaries], self.nodes[self._primaries :]
        for number, node in enumerate(self.nodes):
            # Epochs that differ from the start: else nodes quarrel about them for a while.
            node.execute("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            for other in self.nodes[:number]:
                node.meet(other)
        for number, node in enumerate(primaries):
            share = range(SLOTS * number // len(primaries), SLOTS * (number + 1) // len(primaries))
            node.execute("CLUSTER", "ADDSLOTS", *share)
        self._await_acquaintance(self.nodes)
        for number, node in enumerate(replicas):
            node.execute("CLUSTER", "REPLICATE", primaries[number % len(primaries)].node_id)

    def add(self, node: ClusterNode, primary: ClusterNode | None) -> ClusterNode:
        """Start a further node and let it join."""
        node.start()
        living = self._living()
        self.nodes.append(node)
        for other in living:
            node.meet(other)
        self._await_acquaintance([*living, node])
        if primary is not None:
            node.execute("CLUSTER", "REPLICATE", primary.node_id)
        self.await_whole()
        return node

    def remove(self, node: ClusterNode) -> None:
        """Let the others forget a node, and end it.

        Raises:
            ServerControlError: It owns slots, which nobody would own then.
        """
        if owned := self.view().nodes[node.node_id].slots:
            raise ServerControlError(f"{node!r} owns {len(owned)} slots; migrate them first")
        self.nodes.remove(node)
        # First, lest it introduce itself again.
        if node.is_running:
            node.kill()
        for other in self._living():
            other.execute("CLUSTER", "FORGET", node.node_id)
        node.close()

    def _await_acquaintance(self, nodes: list[ClusterNode]) -> None:
        names = {node.node_id for node in nodes}
        wait_until(
            lambda: all(names <= self.view(node).nodes.keys() for node in nodes),
            reason="all nodes have heard of each other",
            deadline=self.deadline,
        )

    # -- what they say

    def view(self, node: ClusterNode | None = None) -> ClusterView:
        """Return what a node says about all, by default the first that answers."""
        if node is None:
            node = next(iter(self._living()), None)
        if node is None:
            raise ServerControlError("no server of the cluster answers; heal() it first")
        return ClusterView.parse(node.execute("CLUSTER", "NODES"))

    def node_of(self, view: NodeView) -> ClusterNode:
        """Return the server that a view is of."""
        return next(node for node in self.nodes if node.node_id == view.node_id)

    def primaries(self) -> list[ClusterNode]:
        """Return those that own slots."""
        view = self.view()
        return [node for node in self.nodes if node.node_id in view.nodes and view.nodes[node.node_id].slots]

    def owner_of(self, slot: int) -> ClusterNode:
        """Return who owns a slot."""
        return self.node_of(self.view().owners[slot])

    def slot_of(self, key: str | bytes) -> int:
        """Return the slot of a key."""
        return int(self._living()[0].execute("CLUSTER", "KEYSLOT", key))

    def agrees_on_owner(self, slot: int, owner: ClusterNode) -> bool:
        """Say whether all that live take a node for a slot's owner."""
        found = [view.owners.get(slot) for view in self._views()]
        return all(view is not None and view.node_id == owner.node_id for view in found)

    def successor_of(self, lost: ClusterNode) -> ClusterNode | None:
        """Return who took over last, once all that live agree that another node owns a node's slots."""
        views = self._views()
        if not views or any(view.opinion() != views[0].opinion() for view in views):
            return None
        owners = views[0].owners
        if len(owners) < SLOTS or lost.node_id in {view.node_id for view in owners.values()}:
            return None
        return self.node_of(max(owners.values(), key=lambda view: view.epoch))

    def what_is_missing(self) -> str:
        """Return on what the nodes do not agree, or which replica does not follow."""
        views = {node: self.view(node) for node in self.nodes}
        for node, view in views.items():
            if trouble := view.trouble():
                return f"{node!r} says: {trouble}"
            if len(view.nodes) != len(self.nodes):
                return f"{node!r} knows {len(view.nodes)} nodes instead of {len(self.nodes)}"
        first, *others = [view.opinion() for view in views.values()]
        if any(other != first for other in others):
            return f"the servers do not agree: {views}"
        return next(filter(None, map(functools.partial(self._lag_of, views), self.nodes)), "")

    def _lag_of(self, views: dict[ClusterNode, ClusterView], node: ClusterNode) -> str:
        """Return why a node does not serve, or lags behind."""
        if "cluster_state:ok" not in node.execute("CLUSTER", "INFO"):
            return f"{node!r} says that the cluster is down"
        view = views[node].nodes[node.node_id]
        if view.primary_id == "-":
            return ""
        primary = self.node_of(views[node].nodes[view.primary_id])
        return "" if node.follows(primary) else f"{node!r} does not follow {primary!r}"

    def await_empty(self) -> None:
        """Wait until no node has keys, replicas included."""
        wait_until(
            lambda: all(node.execute("DBSIZE") == 0 for node in self._living()),
            reason="all replicas have heard that all keys are gone",
            deadline=self.deadline,
        )

    def _living(self) -> list[ClusterNode]:
        return [node for node in self.nodes if node.is_responsive]

    def _views(self) -> list[ClusterView]:
        import redis

        with contextlib.suppress(redis.RedisError):  # one died in between: ask again
            return [self.view(node) for node in self._living()]
        return []
