"""Calls that block, made on threads so that the event loop goes on."""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from greencache.forks import after_fork_in_child
from greencache.typing import Seconds

__all__ = ["Bell", "Offload"]

R = TypeVar("R")


class Offload:
    """Makes calls on a few threads of its own, started when they are needed.

    Args:
        workers: How many calls are made at once; others wait for their turn.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None

    async def __call__(self, call: Callable[..., R], /, *args: Any, **options: Any) -> R:
        """Return what a call returns, made in a copy of the caller's context.

        Who is cancelled stops waiting; the call is made all the same, so that nothing stays half done.
        """
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._threads(), lambda: context.run(call, *args, **options))
        return await asyncio.shield(future)

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self._workers, "greencache-aio")
            return self._executor

    def close(self) -> None:
        """Let go of the threads once they have done what they were given."""
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False)


class Bell:
    """Wakes a task from any thread; rung before somebody listens, it is heard all the same."""

    __slots__ = ("_event", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def ring(self, *_: object) -> None:
        """Wake the task."""
        # A loop that is closed has nobody to wake.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._event.set)

    release = ring
    """So that it can stand for a `Door`."""

    async def heard(self, within: Seconds | None) -> bool:
        """Wait until it rings, and return whether it did in time.

        Args:
            within: Seconds at most; `None` for ever.
        """
        try:
            async with asyncio.timeout(within):
                await self._event.wait()
        except TimeoutError:
            return False
        return True
