"""Who knows where a server is that may move."""

from typing import Protocol

from greencache.backends.redis_connection import GuardedConnection
from greencache.typing import Seconds

__all__ = ["Guide"]


class Guide(Protocol):
    """Knows where a server is that may move."""

    def locate(self, deadline: Seconds) -> tuple[str, int]:
        """Return where to connect now."""
        ...

    def doubt(self) -> None:
        """Look again before the next connection."""
        ...

    def require_primary(self, connection: GuardedConnection, deadline: Seconds) -> None:
        """Raise unless a new connection leads to the server that is meant."""
        ...
