"""A connection that keeps its deadline, and that a forked child cannot harm."""

import math
import os
import sys
import time
from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeVar

import psycopg
from psycopg.rows import TupleRow

from greencache.backends.postgres_errors import DeadlineError
from greencache.errors import ConfigurationError
from greencache.typing import UNSET, Seconds, Unset

__all__ = ["Backend", "BoundedConnection", "refuse_late_patching"]

R = TypeVar("R")

_WAKE_EVERY = 0.1
"""Seconds after which psycopg looks up from waiting, as its own default is."""


class Backend(NamedTuple):
    """Who works for a connection: the number of a process, and when it began, in microseconds of 1970."""

    pid: int
    began: int


class BoundedConnection(psycopg.Connection[TupleRow]):
    """A connection whose calls end at `deadline`, answered or not.

    libpq has no time limit for reading: on a server that was stopped, or behind a link that drops packets,
    a query waits for ever. psycopg drives each query as a generator that it resumes when the socket is ready
    or a tenth of a second has passed, and all of that goes through `wait`: the place for a deadline.
    """

    deadline: Seconds = math.inf
    """When calls end, in seconds of `time.monotonic`."""
    missed_deadline = False
    """Whether it was closed for want of an answer, rather than by the server."""

    backend: Backend | Unset | None = UNSET
    """Who works for it, once somebody has asked; `None` if that cannot be known, as behind a pooler."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._process = os.getpid()

    @property
    def is_inherited(self) -> bool:
        """Whether it belongs to the process that this one was forked from."""
        return self._process != os.getpid()

    @classmethod
    def connect(  # type: ignore[override]  # one argument more than the base class
        cls, conninfo: str = "", *, on_failure: Callable[[psycopg.Error], None] | None = None, **kwargs: Any
    ) -> "BoundedConnection":
        """Connect, and tell why if that fails: a pool's worker has nobody else to tell."""
        try:
            return super().connect(conninfo, **kwargs)
        except psycopg.Error as error:
            if on_failure is not None:
                on_failure(error)
            raise

    def wait(self, gen: Any, interval: float = _WAKE_EVERY, timeout: float | None = None) -> Any:
        """Drive a query to its end, but not beyond the deadline.

        Args:
            gen: The query.
            interval: Seconds after which to look up from waiting.
            timeout: Seconds after which to give up, as one does who waits for a notification.

        Raises:
            DeadlineError: It was not answered in time; the connection is closed.
        """
        # Nothing has been sent yet: the generator sends when it is first resumed.
        if self.is_inherited:
            raise psycopg.OperationalError("the connection belongs to the process this one was forked from")
        try:
            return super().wait(_until(gen, self.deadline), self._interval(interval), timeout)
        except DeadlineError:
            # The answer may still come, and must not be taken for that of the next statement.
            self.missed_deadline = True
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; in a forked child only forget it, since closing speaks to the server."""
        if self.is_inherited:
            self._closed = True
        else:
            super().close()

    def _interval(self, interval: float) -> float:
        """Return an interval at most as long, a multiple of which falls on the deadline."""
        left = self.deadline - time.monotonic()
        if math.isinf(left):
            return interval
        return max(left, 0.001) / max(1, math.ceil(left / interval))


def _until(generator: Generator[Any, Any, R], deadline: Seconds) -> Generator[Any, Any, R]:
    try:
        wanted = next(generator)
        while True:
            # After resuming, so that an answer that is there at the last moment counts.
            wanted = generator.send((yield wanted))
            if time.monotonic() >= deadline:
                raise DeadlineError("no answer within the time limit")
    except StopIteration as end:
        answer: R = end.value
        return answer


def refuse_late_patching() -> None:
    """Make sure that gevent, if it is in use, was there before psycopg.

    Raises:
        ConfigurationError: psycopg has chosen how to wait already, and would stop all greenlets by it.
    """
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None or not monkey.is_module_patched("select"):
        return
    if psycopg.waiting.wait is getattr(psycopg.waiting, "wait_c", None):
        raise ConfigurationError(
            "expected gevent.monkey.patch_all() before psycopg is imported, got it after: call it first "
            "in the program"
        )
