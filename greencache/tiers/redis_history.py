"""What the processes of a fleet have noted lately of how their tiers are, kept in a Redis that they share."""

from collections.abc import Sequence

from greencache.backends.redis import RedisManager
from greencache.backends.redis_names import RedisNames
from greencache.clock import Clock
from greencache.tiers.tokens import process_name
from greencache.typing import CacheTier, Seconds

__all__ = ["RedisHistory"]


class RedisHistory:
    """A list for each process and tier, and a set of those that were added to lately.

    Nothing is scanned for: a server may hold millions of other keys. A command that arrives twice adds lines
    twice, which begin with their time, so that who reads them can tell.

    Args:
        manager: Talks to the server.
        names: What the keys are called.
        clock: Tells when something was added, to processes with other clocks.
    """

    def __init__(self, manager: RedisManager, names: RedisNames, clock: Clock) -> None:
        self._manager = manager
        self._names = names
        self._clock = clock

    def append(self, tier: CacheTier, lines: Sequence[str], *, most: int, longest: Seconds) -> None:
        """Add lines to what this process has noted about a tier, in one round trip."""
        process, index, now = process_name(), self._names.histories, self._clock.wall()
        name = self._names.history(process, tier.name)
        life = round(1_000 * longest)
        self._manager.execute_many(
            [
                ("RPUSH", name, *lines),
                ("LTRIM", name, -most, -1),
                ("PEXPIRE", name, life),
                ("ZADD", index, now, f"{process}:{tier.name}"),
                ("ZREMRANGEBYSCORE", index, "-inf", now - longest),
                ("PEXPIRE", index, life),
            ]
        )

    def read(self) -> dict[str, dict[CacheTier, list[str]]]:
        """Return the lines of every process, by "host:pid" and tier."""
        members = [each.decode() for each in self._manager.execute("ZRANGE", self._names.histories, 0, -1)]
        known = [
            each.rpartition(":")[::2] for each in members if each.rpartition(":")[2] in CacheTier.__members__
        ]
        replies = self._manager.execute_many(
            [("LRANGE", self._names.history(process, tier), 0, -1) for process, tier in known]
        )
        found: dict[str, dict[CacheTier, list[str]]] = {}
        for (process, tier), lines in zip(known, replies, strict=True):
            found.setdefault(process, {})[CacheTier[tier]] = [line.decode(errors="replace") for line in lines]
        return found
