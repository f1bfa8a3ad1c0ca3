"""Keeps a primary, its replicas and their sentinels running, and knows what the sentinels think."""

import collections
import contextlib

from greencache.testing.servers.redis_group import GroupRunner, group_url
from greencache.testing.servers.redis_node import RedisNode, SentinelNode
from greencache.testing.waiting import wait_until
from greencache.typing import Seconds

__all__ = ["SENTINEL_SCHEME", "SentinelRunner"]

SENTINEL_SCHEME = "redis+sentinel"

_SERVICE = "mymaster"


class SentinelRunner(GroupRunner):
    """A `Runner` of sentinels and their data servers.

    Args:
        nodes: The data servers; the first is the primary at the beginning.
        sentinels: Who watch them.
        password: What clients of the data servers must give; empty for none.
        down_after: Seconds of silence after which a server is taken for dead.
        deadline: Seconds for all to agree.
    """

    def __init__(
        self,
        nodes: list[RedisNode],
        sentinels: list[SentinelNode],
        password: str,
        down_after: Seconds,
        deadline: Seconds,
    ) -> None:
        super().__init__(deadline)
        self.nodes = nodes
        self.sentinels = sentinels
        self._password = password
        self._down_after = down_after

    @property
    def members(self) -> list[RedisNode]:
        """Data servers and sentinels."""
        return [*self.nodes, *self.sentinels]

    @property
    def url(self) -> str:
        """Where the sentinels are, and the primary's name."""
        return group_url(SENTINEL_SCHEME, self.sentinels, self._password, f"/{_SERVICE}")

    def build(self) -> None:
        """Let the replicas follow the primary and the sentinels watch."""
        primary, *replicas = self.nodes
        for replica in replicas:
            replica.execute("REPLICAOF", *primary.address)
        # Before anybody watches: a primary that has no replicas yet is asked again only after ten seconds.
        wait_until(
            lambda: all(replica.follows(primary) for replica in replicas),
            reason="the replicas follow the primary",
            deadline=self.deadline,
        )
        for node in self.nodes:
            # As the sentinels do after a failover: a restart changes no role.
            node.execute("CONFIG", "REWRITE")
        for sentinel in self.sentinels:
            self._instruct(sentinel, primary)

    def _instruct(self, sentinel: SentinelNode, primary: RedisNode) -> None:
        quorum = len(self.sentinels) // 2 + 1
        sentinel.execute("SENTINEL", "MONITOR", _SERVICE, *primary.address, quorum)
        settings = {
            "down-after-milliseconds": int(self._down_after * 1_000),
            "failover-timeout": 1_500,  # after twice that, a failed attempt is repeated
            "parallel-syncs": len(self.nodes),
        }
        if self._password:
            sentinel.execute("SENTINEL", "SET", _SERVICE, "auth-pass", self._password)
        for name, value in settings.items():
            sentinel.execute("SENTINEL", "SET", _SERVICE, name, value)

    # -- what they say

    def primary(self) -> RedisNode:
        """Return the node that most living sentinels name."""
        named = collections.Counter(port for port in self._named() if port is not None)
        port = named.most_common(1)[0][0] if named else None
        for node in self.nodes:
            if node.port == port or (port is None and node.is_responsive and _is_primary(node)):
                return node
        return self.nodes[0]

    def successor_of(self, lost: RedisNode) -> RedisNode | None:
        """Return the primary that all living sentinels name, unless that is still the same."""
        named = set(self._named())
        for node in self.nodes:
            if named == {node.port} and node is not lost and node.is_responsive and _is_primary(node):
                return node
        return None

    def ask_again(self, sentinel: SentinelNode, lost: RedisNode) -> None:
        """Let a sentinel promote a replica, unless it is at it, or has done so."""
        import redis

        if _named_by(sentinel) == lost.port:
            with contextlib.suppress(redis.ResponseError):  # it is at it
                sentinel.execute("SENTINEL", "FAILOVER", _SERVICE)

    def _named(self) -> list[int | None]:
        return [_named_by(sentinel) for sentinel in self.sentinels if sentinel.is_responsive]

    def what_is_missing(self) -> str:
        """Return what a sentinel does not know yet, or which replica does not follow."""
        named = self._named()
        found = [node for node in self.nodes if set(named) == {node.port}]
        if len(named) != len(self.sentinels) or not found:
            return f"the sentinels name as primary {named}"
        primary = found[0]
        if not _is_primary(primary):
            return f"{primary!r} does not know that it is the primary"
        for node in self.nodes:
            if node is not primary and not node.follows(primary):
                return f"{node!r} does not follow {primary!r}"
        return next(filter(None, map(self._missed_by, self.sentinels)), "")

    def _missed_by(self, sentinel: SentinelNode) -> str:
        """Return what a sentinel does not know yet."""
        facts = _pairs(sentinel.execute("SENTINEL", "MASTER", _SERVICE))
        expected = {
            "flags": "master",
            "num-slaves": str(len(self.nodes) - 1),
            "num-other-sentinels": str(len(self.sentinels) - 1),
        }
        replicas = [_pairs(each) for each in sentinel.execute("SENTINEL", "REPLICAS", _SERVICE)]
        flags = {replica["flags"] for replica in replicas} - {"slave"}
        known = {name: facts[name] for name in expected}
        if known == expected and not flags:
            return ""
        return f"{sentinel!r} sees {known} instead of {expected}, and replicas that are {flags or 'well'}"


def _named_by(sentinel: SentinelNode) -> int | None:
    import redis

    with contextlib.suppress(redis.RedisError):  # it says nothing
        reply = sentinel.execute("SENTINEL", "GET-MASTER-ADDR-BY-NAME", _SERVICE, deadline=1.0)
        return int(reply[1]) if reply else None
    return None


def _is_primary(node: RedisNode) -> bool:
    import redis

    with contextlib.suppress(redis.RedisError):
        return node.replication()["role"] == "master"
    return False


def _pairs(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))
