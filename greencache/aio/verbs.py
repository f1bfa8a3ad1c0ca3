"""What all awaited verbs share."""

from greencache.aio.driver import AsyncDriver
from greencache.aio.offload import Offload
from greencache.aio.reader import AsyncReader
from greencache.manager import CacheManager as BlockingManager
from greencache.manager.base import Verbs

__all__ = ["AsyncVerbs"]

_WORKERS = 32
"""Threads for what blocks: as many calls to servers at once."""


class AsyncVerbs(Verbs):
    """The core of a cache, and the threads that its steps are done on.

    Args:
        blocking: The same cache for threads.
    """

    def __init__(self, blocking: BlockingManager) -> None:
        # Two faces of one cache.
        super().__init__(blocking._engine, blocking._defaults)  # noqa: SLF001
        self.blocking = blocking
        """The same cache for threads; do not call it in the event loop, which it would block."""
        engine = self._engine
        self._offload = Offload(_WORKERS)
        self._driver = AsyncDriver(engine.reader.driver.gate, self._offload, blocks=bool(engine.stack.shared))
        self._reader = AsyncReader(engine.reader, self._driver)
