"""Moving a slot of a Redis Cluster, step by step."""

import contextlib
import time
from typing import TYPE_CHECKING

from greencache.testing.servers.redis_node import ClusterNode
from greencache.testing.waiting import wait_until
from greencache.typing import Seconds

if TYPE_CHECKING:
    from greencache.testing.servers.redis_cluster_runner import ClusterRunner

__all__ = ["SlotMigration"]

_TIMEOUT = 5_000  # milliseconds
_BATCH = 100
_TOLD_AGAIN_AFTER: Seconds = 5.0


class SlotMigration:
    """Moves a slot and its keys from one primary to another, as `redis-cli --cluster reshard` does.

    After `begin`, and until `finish`, clients are sent back and forth: `ASK` for a key that has moved
    already, `TRYAGAIN` for several of which some have.

    Args:
        slot: Which.
        source: Who owns it.
        target: Who is to own it.
        cluster: Of which both are members.
    """

    def __init__(self, slot: int, source: ClusterNode, target: ClusterNode, cluster: "ClusterRunner") -> None:
        self.slot = slot
        self.source = source
        self.target = target
        self._cluster = cluster

    def begin(self) -> None:
        """Open the slot on both sides."""
        self.target.execute("CLUSTER", "SETSLOT", self.slot, "IMPORTING", self.source.node_id)
        self.source.execute("CLUSTER", "SETSLOT", self.slot, "MIGRATING", self.target.node_id)

    def move_keys(self, limit: int | None = None) -> int:
        """Move keys over.

        Args:
            limit: How many; `None` for all.

        Returns:
            How many were moved.
        """
        moved = 0
        while limit is None or moved < limit:
            count = _BATCH if limit is None else min(_BATCH, limit - moved)
            keys = self.source.execute("CLUSTER", "GETKEYSINSLOT", self.slot, count)
            if not keys:
                break
            password = self._cluster.password
            secret = ["AUTH", password] if password else []
            self.source.execute("MIGRATE", *self.target.address, "", 0, _TIMEOUT, *secret, "KEYS", *keys)
            moved += len(keys)
        return moved

    def finish(self) -> None:
        """Give the slot to its new owner, and wait until all living servers know."""
        self._tell_all()
        told = time.monotonic()

        def is_known() -> bool:
            nonlocal told
            if self._cluster.agrees_on_owner(self.slot, self.target):
                return True
            if time.monotonic() - told > _TOLD_AGAIN_AFTER:
                # Who has heard a former owner's claim later than ours, with an epoch as high, believes that.
                self.target.execute("CLUSTER", "BUMPEPOCH")
                self._tell_all()
                told = time.monotonic()
            return False

        wait_until(
            is_known,
            reason=f"all servers know that slot {self.slot} is with {self.target!r}",
            deadline=self._cluster.deadline,
        )

    def _tell_all(self) -> None:
        import redis

        news = ("CLUSTER", "SETSLOT", self.slot, "NODE", self.target.node_id)
        self.target.execute(*news)
        for node in {self.source, *self._cluster.primaries()} - {self.target}:
            # They would hear it anyhow, and who has lost its last slot by that is a replica already.
            with contextlib.suppress(redis.RedisError):
                node.execute(*news)
