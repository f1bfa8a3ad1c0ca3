"""Drives a read on an event loop: what blocks is done on threads, what awaits, in the loop."""

import contextlib
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any, NamedTuple, TypeAlias, TypeVar

from greencache.aio.offload import Bell, Offload
from greencache.flight import Flight
from greencache.loading.gate import LOOK_AGAIN, LoadGate
from greencache.loading.load import loads_under_way
from greencache.loading.steps import Call, Failed, LoaderError, Pause, Steps
from greencache.typing import Key

__all__ = ["AnyBatchLoader", "AsyncDriver"]

R = TypeVar("R")

AnyBatchLoader: TypeAlias = Callable[[list[Key]], Any]
"""A loader of many keys that returns a mapping, or something awaitable that does."""


class _Ended(NamedTuple):
    found: Any


class AsyncDriver:
    """Does for a read what `greencache.loading.driver.Driver` does, without blocking the loop.

    Args:
        gate: Lets a number of loads through at once; shared with the threads of the process.
        offload: Makes calls that block.
        blocks: Whether the steps of a read block; if not, they are done in the loop.
    """

    def __init__(self, gate: LoadGate, offload: Offload, *, blocks: bool) -> None:
        self._gate = gate
        self._offload = offload
        self._blocks = blocks

    async def run(self, steps: Steps[R], loader: AnyBatchLoader, flights: Collection[Flight] = ()) -> R:
        """Return what a read found.

        Args:
            steps: The read.
            loader: Reads values from their source; a coroutine function, or one that blocks.
            flights: What the read leads; not waited for by what the loader asks.

        Raises:
            Exception: What the loader raised, unchanged, if there was nothing to serve instead.
        """
        answer: object = None
        try:
            while True:
                step = await self._advance(steps, answer)
                if isinstance(step, _Ended):
                    found: R = step.found
                    return found
                if isinstance(step, Call):
                    answer = await self._call(step, loader, flights)
                else:
                    answer = None
                    await self._pause(step)
        except LoaderError as wrapped:
            error = wrapped.error
        finally:
            # Gives back what the read holds, if this task is being cancelled before the read has ended: not
            # awaited, since the loop may be about to close.
            _close(steps)
        raise error

    async def _advance(self, steps: Steps[R], answer: object) -> "Call | Pause | _Ended":
        return await self._offload(_send, steps, answer) if self._blocks else _send(steps, answer)

    async def _call(self, step: Call, loader: AnyBatchLoader, flights: Collection[Flight]) -> object:
        load = step.load
        load.flights = flights
        load.gate = self._gate
        # A load within one that was let through by this gate needs no place of its own.
        is_inner = any(outer.gate is self._gate for outer in loads_under_way())
        try:
            async with contextlib.nullcontext() if is_inner else self._passed():
                with load.under_way():
                    return await self.ask(loader, list(load.keys))
        except Exception as error:
            return Failed(error)

    async def ask(self, function: Callable[..., Any], *args: Any) -> Any:
        """Return what a function of the user's returns: awaited if it can be, else called on a thread."""
        if inspect.iscoroutinefunction(inspect.unwrap(function)):
            return await function(*args)
        result = await self._offload(function, *args)
        # A plain function that returns something awaitable, as lambdas and partials do.
        return await result if isinstance(result, Awaitable) else result

    @contextlib.asynccontextmanager
    async def _passed(self) -> AsyncIterator[None]:
        with self._gate.queued() as queue:
            deadline = time.monotonic() + self._gate.patience
            while not queue.is_in:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise self._gate.refusal()
                bell = Bell()
                if not queue.waits_at(bell):
                    await bell.heard(min(left, LOOK_AGAIN))
            yield

    @staticmethod
    async def _pause(step: Pause) -> None:
        bell = Bell()
        step.wake.on_call = bell.ring
        # Called before the line above, it has rung nothing.
        if not step.wake.is_called:
            await bell.heard(step.seconds)
        step.wake.reset()


def _send(steps: Steps[Any], answer: object) -> "Call | Pause | _Ended":
    # `StopIteration` cannot leave a future.
    try:
        return steps.send(answer)
    except StopIteration as end:
        return _Ended(end.value)


def _close(steps: Steps[Any]) -> None:
    # A thread may still be in the middle of a step. It goes on to the end of that, and what the read holds
    # is given back when nobody refers to it any more.
    with contextlib.suppress(ValueError):
        steps.close()
