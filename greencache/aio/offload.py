"""Calls that block, made on threads so that the event loop goes on."""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from greencache.forks import after_fork_in_child
from greencache.typing import Seconds

__all__ = ["Bell", "Offload"]

R = TypeVar("R")


class Offload:
    """Makes calls on threads of its own, started when they are needed.

    Args:
        workers: How many calls are made at once; others wait for their turn.
        scope: Returns a context manager that is entered around each call.
    """

    def __init__(
        self, workers: int, scope: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext
    ) -> None:
        self._workers = workers
        self._scope = scope
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None

    async def __call__(self, call: Callable[..., R], /, *args: Any, **options: Any) -> R:
        """Return what a call returns, made in a copy of the caller's context; raise what it raises.

        Who is cancelled stops waiting; the call is made all the same, so that nothing stays half done.
        """
        # Not `run_in_executor`: asyncio's futures take no `StopIteration`, take another future's cancellation
        # for the task's, and complain of errors that nobody has waited for.
        future = self._submit(call, *args, **options)
        bell = Bell()
        future.add_done_callback(bell.ring)
        try:
            await bell.heard(None)
            return future.result()
        finally:
            # An error refers to this frame, which must not refer to the error.
            del future

    def soon(self, call: Callable[[], object]) -> None:
        """Make a call that nobody waits for."""
        try:
            self._submit(call)
        except RuntimeError:
            # The interpreter is ending, and starts no threads any more.
            call()

    def _submit(self, call: Callable[..., R], /, *args: Any, **options: Any) -> "Future[R]":
        context = contextvars.copy_context()
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self._workers, "greencache-aio")
            return self._executor.submit(context.run, self._make, call, args, options)

    def _make(self, call: Callable[..., R], args: tuple[Any, ...], options: dict[str, Any]) -> R:
        with self._scope():
            return call(*args, **options)

    def close(self) -> None:
        """Let go of the threads once they have done what they were given; another call starts new ones."""
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
