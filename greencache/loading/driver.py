"""Drives a read on the thread, or greenlet, that wants its result."""

import contextlib
from collections.abc import Callable, Collection
from typing import Any, Final, TypeVar

from greencache.flight import Flight
from greencache.loading.gate import LoadGate
from greencache.loading.steps import Call, Failed, LoaderError, Pause, Steps
from greencache.typing import BatchLoader, Seconds

__all__ = ["Driver"]

R = TypeVar("R")

_FREE: Final = contextlib.nullcontext()


class Driver:
    """Calls loaders and pauses, between the steps of a read.

    Args:
        gate: Lets a number of loads through at once.
        sleep: Pauses, instead of waiting for what is to end the pause.
    """

    def __init__(self, gate: LoadGate, sleep: Callable[[Seconds], None] | None = None) -> None:
        self.gate = gate
        self.sleep = sleep

    def run(self, steps: Steps[R], loader: BatchLoader[Any], flights: Collection[Flight] = ()) -> R:
        """Return what a read found.

        Args:
            steps: The read.
            loader: Reads values from their source.
            flights: What the read leads; not waited for by what the loader asks.

        Raises:
            Exception: What the loader raised, unchanged, if there was nothing to serve instead.
        """
        answer: object = None
        try:
            while True:
                step = steps.send(answer)
                if isinstance(step, Call):
                    answer = self._call(step, loader, flights)
                else:
                    self._pause(step)
        except StopIteration as end:
            found: R = end.value
            return found
        except LoaderError as wrapped:
            error = wrapped.error
        finally:
            # Gives back what the read holds, if this thread is being ended before the read has.
            steps.close()
        raise error

    def _call(self, step: Call, loader: BatchLoader[Any], flights: Collection[Flight]) -> object:
        load = step.load
        load.flights = flights
        load.gate = gate = self.gate
        # A load within one that was let through needs no place of its own.
        is_free = gate.limit is None or gate.is_passed
        try:
            with _FREE if is_free else gate.passed(flights), load.under_way():
                # A list of its own: a loader may use it up.
                return loader(list(load.keys))
        except Exception as error:
            return Failed(error)

    def _pause(self, step: Pause) -> None:
        if self.sleep is not None:
            self.sleep(step.seconds)
        else:
            step.wake.wait(step.seconds)
