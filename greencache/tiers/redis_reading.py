"""Reading names of a Redis, many at once."""

from collections.abc import Sequence

from greencache.backends.redis import RedisManager
from greencache.errors import ServerReplyError, TierUnavailableError
from greencache.stats import TierCounters
from greencache.tiers.redis_inspection import chunks

__all__ = ["RedisReader"]


class RedisReader:
    """Returns what is under names, `None` where nothing is, or something that is no text.

    Args:
        manager: Talks to the server.
        counters: Counts reads that a part of a Cluster has not answered.
    """

    def __init__(self, manager: RedisManager, counters: TierCounters) -> None:
        self._manager = manager
        self._counters = counters

    def read(self, names: Sequence[bytes]) -> list[bytes | None]:
        """Return all, or raise an outage; one plain GET when there is one name."""
        if len(names) == 1:
            return [self.read_one(names[0])]
        return [data for chunk in chunks(names) for data in self._manager.execute(b"MGET", *chunk)]

    def read_apart(self, names: Sequence[bytes]) -> list[bytes | None]:
        """Return what the nodes of a Cluster have that are there; an outage only if none is."""
        if len(names) == 1:
            return [self.read_one(names[0])]
        replies = self._manager.execute_many([(b"MGET", name) for name in names], partial=True)
        lost = [isinstance(reply, TierUnavailableError) for reply in replies]
        self._counters.errors += any(lost)
        return [None if is_lost else reply[0] for is_lost, reply in zip(lost, replies, strict=True)]

    def read_one(self, name: bytes) -> bytes | None:
        """Return what is under one name, or raise an outage."""
        try:
            data: bytes | None = self._manager.execute(b"GET", name)
        except ServerReplyError as error:
            # Somebody has put a list or the like there. MGET calls that absent, and so do we.
            if error.code != "WRONGTYPE":
                raise
            return None
        return data
