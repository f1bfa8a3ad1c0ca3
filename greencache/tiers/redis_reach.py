"""Which part of a Redis tier answers."""

from collections.abc import Iterable

from greencache.backends.redis import RedisManager
from greencache.backends.redis_names import RedisNames
from greencache.tiers.base import Status
from greencache.typing import Key

__all__ = ["RedisReach"]


class RedisReach:
    """Tells it from what became of the last call to each server; asks none.

    Args:
        manager: Talks to the servers.
        names: Where entries are.
    """

    def __init__(self, manager: RedisManager, names: RedisNames) -> None:
        self._manager = manager
        self._names = names

    def condition(self) -> Status:
        """Return how the tier is: down while the server that has the stamps and the bus does not answer."""
        if not self._manager.is_answering(self._names.bus):
            return Status.DOWN
        return Status.UP if self._manager.is_answering() else Status.DEGRADED

    def unreached(self, keys: Iterable[Key]) -> list[Key]:
        """Return the keys on servers that do not answer."""
        return [key for key in keys if not self._manager.is_answering(self._names.value(key))]
