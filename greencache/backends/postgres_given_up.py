"""What was given up never runs late: before anything that it could undo, the server is told to end it.

A statement whose connection broke, or that was not answered in time, may still be under way: in the server,
in a kernel, in a proxy. One that overwrites would do so whenever it gets there, also after others have stored
or dropped what is newer. No look at the rows tells it apart by then; but it can only get to the one backend
that its connection led to. When that is gone, it has run, or never will.

This costs a round trip on the first write of each connection, and nothing else as long as none is lost.
"""

import enum
import functools
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from greencache.backends.postgres_connection import Backend
from greencache.backends.postgres_errors import ConnectionLostError
from greencache.backends.postgres_session import PostgresSession
from greencache.backends.postgres_sql import statement
from greencache.backends.retry import TransientError

__all__ = ["Effect", "GivenUp"]

T = TypeVar("T")


class Effect(enum.Enum):
    """What a call does to what others have stored, and so what it must not do late."""

    HARMLESS = "harmless"
    """Nothing, or nothing that it has not a proof for, such as a lease."""
    FORGETS = "forgets"
    """It may come late itself, since that only forgets, but nothing that was given up may come after it."""
    OVERWRITES = "overwrites"
    """It may not come late either."""


class GivenUp:
    """The backends that may still work on what this process does not wait for any more."""

    def __init__(self) -> None:
        self._backends: dict[Backend, None] = {}

    def ordered(self, run: Callable[[PostgresSession], T], effect: Effect) -> Callable[[PostgresSession], T]:
        """Return what makes the same call after all that was given up, and gives itself up if it is lost."""
        if effect is Effect.HARMLESS:
            return run
        overwrites = effect is Effect.OVERWRITES
        return functools.partial(self._overwrite if overwrites else self._run, run)

    def _run(self, run: Callable[[PostgresSession], T], session: PostgresSession) -> T:
        # Looked at once: another thread may have ended them all by the next look.
        if due := list(self._backends):
            self._end(session, due)
        return run(session)

    def _overwrite(self, run: Callable[[PostgresSession], T], session: PostgresSession) -> T:
        backend = session.backend()
        try:
            return self._run(run, session)
        except BaseException as error:  # a time-out of gevent is none of ours
            if session.is_idle:
                raise
            if backend is not None:
                self._backends[backend] = None
            elif isinstance(error, ConnectionLostError):
                # Behind a pooler nobody knows where it runs. So it is not repeated, and its caller knows.
                raise TransientError(str(error), may_have_run=True) from error
            raise

    def _end(self, session: PostgresSession, due: Sequence[Backend]) -> None:
        """End backends, of which there is one at least.

        Raises:
            StatementRefusedError: The user may not end one.
            TierUnavailableError: One goes on for longer than there is time.
        """
        living = _living(session, due)
        # Whoever has not ended in time, or by itself at this moment, is looked for once more.
        if left := [backend for backend in living if not _is_ended(session, backend)]:
            living = _living(session, left)
        else:
            living = set()
        for backend in set(due) - living:
            self._backends.pop(backend, None)
        if living:
            raise TransientError(
                f"backend {min(living).pid} may still do what was given up, and does not end: "
                "end it by hand, or wait until it has ended",
                may_have_run=False,
            )


def _living(session: PostgresSession, backends: Sequence[Backend]) -> set[Backend]:
    pids, began = zip(*backends, strict=True)
    found = session.fetch(statement("backends/living", ""), {"pids": list(pids), "began": list(began)})
    return {Backend(*row) for row in found}


def _is_ended(session: PostgresSession, backend: Backend) -> bool:
    patience = max(1, round(1000 * (session.deadline - time.monotonic()) / 2))
    [(is_ended,)] = session.fetch(
        statement("backends/end", ""), {**backend._asdict(), "patience": patience}
    ) or [(True,)]
    return bool(is_ended)
