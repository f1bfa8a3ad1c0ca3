"""What one node of a Redis Cluster says about all nodes."""

import dataclasses

__all__ = ["SLOTS", "ClusterView", "NodeView"]

SLOTS = 16_384


@dataclasses.dataclass(frozen=True, slots=True)
class NodeView:
    """One line of `CLUSTER NODES`.

    Args:
        node_id: The node's name.
        port: Where it listens.
        flags: `master`, `slave`, `fail`, `fail?`, `handshake`, `noaddr` and so on.
        primary_id: Whose replica it is; `-` for none.
        epoch: Of its configuration: who took over last has the highest.
        slots: What it owns.
    """

    node_id: str
    port: int
    flags: frozenset[str]
    primary_id: str
    epoch: int
    slots: frozenset[int]


@dataclasses.dataclass(frozen=True, slots=True)
class ClusterView:
    """The whole answer.

    Args:
        nodes: By name.
    """

    nodes: dict[str, NodeView]

    @classmethod
    def parse(cls, answer: str) -> "ClusterView":
        """Read the answer of `CLUSTER NODES`."""
        nodes = map(_node, answer.splitlines())
        return cls({node.node_id: node for node in nodes})

    @property
    def owners(self) -> dict[int, NodeView]:
        """Who owns each slot."""
        return {slot: node for node in self.nodes.values() for slot in node.slots}

    def replicas_of(self, node_id: str) -> list[NodeView]:
        """Return the replicas of a primary."""
        return [node for node in self.nodes.values() if node.primary_id == node_id]

    def opinion(self) -> dict[str, tuple[str, frozenset[int]]]:
        """Return what all nodes must agree on: for each of them its primary and its slots."""
        return {node.node_id: (node.primary_id, node.slots) for node in self.nodes.values()}

    def trouble(self) -> str:
        """Return which nodes are not well, and how many slots nobody owns; empty when all is well."""
        unwell = {"fail", "fail?", "handshake", "noaddr"}
        ill = [
            f"{node.port} is {','.join(sorted(node.flags))}"
            for node in self.nodes.values()
            if node.flags & unwell
        ]
        unowned = SLOTS - len(self.owners)
        return ", ".join([*ill, *([f"{unowned} slots have no owner"] if unowned else [])])


def _node(line: str) -> NodeView:
    # id ip:port@bus-port[,hostname] flags primary ping-sent pong-received epoch link-state slot|from-to ...
    node_id, address, flags, primary_id, _, _, epoch, _, *ranges = line.split()
    port = int(address.partition("@")[0].rpartition(":")[2])
    slots: set[int] = set()
    for each in ranges:
        if not each.startswith("["):  # a slot on the move: [93-<-id], [77->-id]
            first, _, last = each.partition("-")
            slots.update(range(int(first), int(last or first) + 1))
    return NodeView(node_id, port, frozenset(flags.split(",")), primary_id, int(epoch), frozenset(slots))
