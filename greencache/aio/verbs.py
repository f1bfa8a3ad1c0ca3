"""What all awaited verbs share."""

from collections.abc import Callable
from typing import Any, TypeVar

from greencache.aio.driver import AsyncDriver
from greencache.aio.functions import Functions
from greencache.aio.offload import Offload
from greencache.aio.reader import AsyncReader
from greencache.bus.base import NullBus
from greencache.manager import CacheManager as BlockingManager
from greencache.manager.base import Verbs

__all__ = ["AsyncVerbs"]

R = TypeVar("R")

_CALLS = 32
"""Calls to servers at once. None of them waits for another."""
_FUNCTIONS = 1000
"""Loaders and writers that block; `max_concurrent_loads` is there to limit them."""


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
        self.namespace = blocking.namespace
        engine = self._engine
        reader = engine.reader
        self._talks = bool(engine.stack.shared) or not isinstance(engine.bus, NullBus)
        self._offload = Offload(_CALLS)
        self._functions = Functions(Offload(_FUNCTIONS, reader.background.scope))
        driver = AsyncDriver(reader.driver.gate, self._offload if self._talks else None, self._functions)
        self._reader = AsyncReader(reader, driver, engine.start)

    async def _done(self, call: Callable[..., R], /, *args: Any, **options: Any) -> R:
        """Return what a call returns: made on a thread if the cache talks to servers, else in the loop."""
        if self._talks:
            return await self._offload(call, *args, **options)
        return call(*args, **options)
