"""Tasks that go on although whoever began them is cancelled."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias, TypeVar, cast

from greencache.forks import after_fork_in_child
from greencache.typing import Seconds

__all__ = ["Tasks"]

R = TypeVar("R")

_LOOK_AGAIN: Seconds = 0.01

_Ended: TypeAlias = Callable[[], object]
_Running: TypeAlias = "dict[asyncio.AbstractEventLoop, dict[asyncio.Task[Any], _Ended]]"


class Tasks:
    """The tasks that a cache has begun, on any number of event loops."""

    def __init__(self) -> None:
        self._running: _Running = {}
        self._parents: list[_Running] = []
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        # Kept for ever: if they were collected in the child, they would end there, and give back at the
        # servers what the parent's own go on with.
        self._parents.append(self._running)
        self._running = {}

    def begin(self, work: Coroutine[Any, Any, R], ended: _Ended = lambda: None) -> asyncio.Task[R]:
        """Begin work on the running loop.

        Args:
            work: What is to be done.
            ended: Is called when it has ended in whatever way, even before its first step.
        """
        loop = asyncio.get_running_loop()
        task = loop.create_task(work)
        mine = self._of(loop)
        # Held on to: the loop itself does not keep tasks alive.
        mine[task] = ended

        def leave(task: asyncio.Task[R]) -> None:
            mine.pop(task, None)
            ended()
            if not task.cancelled():
                # Whoever waits has been told; if nobody waits, nobody is to be told.
                task.exception()

        task.add_done_callback(leave)
        return task

    def _of(self, loop: asyncio.AbstractEventLoop) -> "dict[asyncio.Task[Any], _Ended]":
        if loop not in self._running:
            for other in [other for other in list(self._running) if other.is_closed()]:
                for task, ended in list(self._running.pop(other, {}).items()):
                    _end(task)
                    ended()
        return self._running.setdefault(loop, {})

    async def close(self, within: Seconds) -> None:
        """Wait for the tasks that have begun, on whatever loop.

        Args:
            within: Seconds at most; what is not done by then is cancelled.
        """
        me = asyncio.current_task()
        tasks = {task for mine in list(self._running.values()) for task in list(mine) if task is not me}
        deadline = time.monotonic() + within
        while late := [task for task in tasks if not task.done() and not task.get_loop().is_closed()]:
            if time.monotonic() >= deadline:
                for task in late:
                    task.get_loop().call_soon_threadsafe(task.cancel)
                return
            # Not `asyncio.wait`, which knows of its own loop only.
            await asyncio.sleep(_LOOK_AGAIN)


def _end(task: asyncio.Task[Any]) -> None:
    """End a task whose loop was closed without having ended it: nothing else will."""
    # What it would still have to await cannot be awaited any more.
    with contextlib.suppress(RuntimeError):
        cast("Coroutine[Any, Any, Any]", task.get_coro()).close()
