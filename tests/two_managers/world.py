"""Caches of several processes, and the bus between them, as the machine sees them."""

import abc
import contextlib
from collections.abc import Callable

from greencache import CacheManager
from greencache.bus.base import Message

MAX_STALENESS = 2.0


class Member:
    """A process.

    Args:
        number: Which one.
        cache: Its cache.
    """

    def __init__(self, number: int, cache: CacheManager) -> None:
        self.number = number
        self.cache = cache
        self.lookups = 0
        """How many keys were looked up."""
        self.published = 0
        """The number of its last announcement."""
        self._bus = cache._engine.bus
        self._publish, self._bus.publish = self._bus.publish, self._note_publish
        # What runs in the background runs at once, and so at a known time.
        cache._engine.reader.background.submit = _run_now

    def _note_publish(self, message: Message) -> int:
        self.published = self._publish(message)
        return self.published

    @property
    def heard(self) -> int:
        """The number of the last announcement that it has heard, with all before."""
        return self._bus.applied()

    @property
    def is_trusted(self) -> bool:
        """Whether its own tiers are believed."""
        return self.cache._engine.stack.is_heard


class World(abc.ABC):
    """Processes that share tiers."""

    is_up = True
    """Whether the authority answers."""

    def __init__(self) -> None:
        self.stack = contextlib.ExitStack()
        self.members: list[Member] = []

    def join(self, *, shares_host: bool = False) -> Member:
        """Return a new process."""
        cache = self.stack.enter_context(contextlib.closing(self.begin(shares_host=shares_host)))
        self.members.append(Member(len(self.members), cache))
        return self.members[-1]

    @abc.abstractmethod
    def begin(self, *, shares_host: bool) -> CacheManager:
        """Return the cache of a new process.

        Args:
            shares_host: Whether it is on the host of the second process.
        """

    @property
    @abc.abstractmethod
    def now(self) -> float:
        """Seconds of the clock that entries are in."""

    def close(self) -> None:
        """End."""
        self.stack.close()


def _run_now(task: Callable[[], object]) -> bool:
    # Nobody waits for it, so nobody is told.
    with contextlib.suppress(Exception):
        task()
    return True
