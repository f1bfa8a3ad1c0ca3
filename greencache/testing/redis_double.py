"""What a Redis server holds, in memory."""

import dataclasses
import threading
from collections.abc import Callable
from typing import NamedTuple

from greencache.entry import Entry
from greencache.errors import TierUnavailableError
from greencache.tiers.base import Lease
from greencache.typing import Key, Seconds

__all__ = ["Held", "RedisDouble"]


class Held(NamedTuple):
    """A lease on a key, and when it ends."""

    token: Lease
    ends_at: Seconds


@dataclasses.dataclass
class RedisDouble:
    """What one Redis server holds: values, leases and stamps by namespace and name.

    Args:
        name: What no other server is called.
        is_down: Whether every command fails.
        between_commands: Is called where other clients' commands may come between two of one call.
        changes: How often something was stored or removed.
    """

    name: str = "double"
    is_down: bool = False
    between_commands: Callable[[], None] = lambda: None
    changes: int = 0
    values: dict[tuple[str, Key], Entry] = dataclasses.field(default_factory=dict)
    leases: dict[tuple[str, Key], Held] = dataclasses.field(default_factory=dict)
    stamps: dict[tuple[str, str], str] = dataclasses.field(default_factory=dict)
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock, repr=False)

    def require(self) -> None:
        """Raise as a server out of reach does, if it is to be down."""
        if self.is_down:
            raise TierUnavailableError(f"{self.name} is down: expected an answer, got none")
