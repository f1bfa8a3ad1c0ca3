"""The steps in which a read needs something of its driver: a loader's answer, or a pause.

Everything else a read does is between the steps, and the same whoever drives it: a thread, a greenlet, or a
task of an event loop that lets a thread do what lies between them.
"""

import dataclasses
from collections.abc import Generator
from typing import TypeAlias, TypeVar

from greencache.loading.load import Load
from greencache.typing import Seconds
from greencache.waiters import Wake

__all__ = ["Call", "Failed", "LoaderError", "Pause", "Steps"]

R = TypeVar("R")


@dataclasses.dataclass(slots=True)
class Call:
    """Wants the loader called; the answer is what it returns, or `Failed`.

    Args:
        load: What is to be loaded.
    """

    load: Load


@dataclasses.dataclass(frozen=True, slots=True)
class Pause:
    """Wants some time to pass.

    Args:
        seconds: How much at most.
        wake: Ends the pause when it is called.
    """

    seconds: Seconds
    wake: Wake


@dataclasses.dataclass(frozen=True, slots=True)
class Failed:
    """A loader raised, or was not let through.

    Args:
        error: What is to be raised, if there is nothing to serve instead.
    """

    error: Exception


class LoaderError(Exception):
    """Carries an error out of the steps unchanged: generators do not let every one pass.

    Args:
        error: What the loader raised.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


Steps: TypeAlias = Generator[Call | Pause, object, R]
"""A read in progress; ends with what it found."""
