"""Drives a read on an event loop: what blocks is done on threads, what awaits, in the loop."""

import contextlib
import time
from collections.abc import AsyncIterator, Collection
from typing import Generic, TypeVar

from greencache.aio.functions import AnyBatchLoader, Functions
from greencache.aio.offload import Bell, Offload
from greencache.flight import Flight
from greencache.loading.gate import LOOK_AGAIN, LoadGate
from greencache.loading.steps import Call, Failed, LoaderError, Pause, Steps

__all__ = ["AsyncDriver"]

R = TypeVar("R")


class AsyncDriver:
    """Does for a read what `greencache.loading.driver.Driver` does, without blocking the loop.

    Args:
        gate: Lets a number of loads through at once; shared with the threads of the process.
        offload: Does the steps of a read; `None` if they do not block, and are done in the loop.
        functions: Calls loaders.
    """

    def __init__(self, gate: LoadGate, offload: Offload | None, functions: Functions) -> None:
        self._gate = gate
        self._offload = offload
        self._functions = functions

    async def run(self, steps: Steps[R], loader: AnyBatchLoader, flights: Collection[Flight] = ()) -> R:
        """Return what a read found.

        Args:
            steps: The read.
            loader: Reads values from their source; a coroutine function, or one that blocks.
            flights: What the read leads; not waited for by what the loader asks.

        Raises:
            Exception: What the loader raised, unchanged, if there was nothing to serve instead.
        """
        reading = _Reading(steps)
        answer: object = None
        try:
            while True:
                step = await self._advance(reading, answer)
                if isinstance(step, _Ended):
                    return step.found
                if isinstance(step, Call):
                    answer = await self._call(step, loader, flights)
                else:
                    answer = None
                    await self._pause(step)
        except LoaderError as wrapped:
            error = wrapped.error
        except BaseException:
            self._abandon(reading)
            raise
        try:
            raise error
        finally:
            # It refers to this frame, which must not refer to it.
            del error

    async def _advance(self, reading: "_Reading[R]", answer: object) -> "Call | Pause | _Ended[R]":
        if self._offload is None:
            return reading.advance(answer)
        return await self._offload(reading.advance, answer)

    def _abandon(self, reading: "_Reading[R]") -> None:
        """Give back what a read holds; not awaited, since the task is being cancelled."""
        if self._offload is None:
            reading.abandon()
        else:
            self._offload.soon(reading.abandon)

    async def _call(self, step: Call, loader: AnyBatchLoader, flights: Collection[Flight]) -> object:
        load = step.load
        load.flights = flights
        load.gate = self._gate
        # A load within one that was let through needs no place of its own.
        is_inner = self._gate.is_passed
        try:
            async with contextlib.nullcontext() if is_inner else self._passed(flights):
                with load.under_way():
                    # A list of its own: a loader may use it up.
                    return await self._functions.ask(loader, list(load.keys))
        except Exception as error:
            return Failed(error)

    @contextlib.asynccontextmanager
    async def _passed(self, flights: Collection[Flight]) -> AsyncIterator[None]:
        """Do what `LoadGate.passed` does, waiting for a place on the loop."""
        with self._gate.queued(flights) as queue:
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


class _Ended(Generic[R]):
    """What a read has found: `StopIteration` cannot carry it out of a coroutine."""

    def __init__(self, found: R) -> None:
        self.found = found


class _Reading(Generic[R]):
    """A read whose steps are done on one thread or another, and that can be given up from any."""

    def __init__(self, steps: Steps[R]) -> None:
        self._steps = steps
        self._is_abandoned = False

    def advance(self, answer: object) -> Call | Pause | _Ended[R]:
        """Do a step."""
        try:
            return self._steps.send(answer)
        except StopIteration as end:
            return _Ended(end.value)
        finally:
            if self._is_abandoned:
                self._close()

    def abandon(self) -> None:
        """Give back what the read holds, now or when the step is done that a thread is in the middle of."""
        # First, so that a thread which cannot be interrupted below sees it when it is done.
        self._is_abandoned = True
        self._close()

    def _close(self) -> None:
        with contextlib.suppress(ValueError):
            self._steps.close()
