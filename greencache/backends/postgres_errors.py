"""What psycopg raises, as errors of greencache's tree."""

from typing import Any

import psycopg

from greencache.backends.retry import RefusedError, TransientError
from greencache.errors import TierUnavailableError

__all__ = ["ConnectionLostError", "DeadlineError", "StatementRefusedError", "translated"]

_UNDEFINED = ("42P01", "3F000")
"""SQLSTATE of a missing table, and of a missing schema."""
_ROLLBACK = "40"
"""The class of SQLSTATE for transactions that had to give way to others."""
_UNPREPARED = ("26000", "42P05")
"""SQLSTATE of a prepared statement that is not there, and of one that is there already."""
_DISK_FULL = "53100"
"""What is there can still be read."""
_OUTAGES = ("08", "53", "57", "58", "XX")
"""Classes that say something of the server, not of the statement: connection, resources, intervention,
system, internal."""


class DeadlineError(psycopg.OperationalError):
    """The server has not answered by the end of a call's time."""


class ConnectionLostError(TransientError):
    """A connection broke, or gave way to another transaction, in the middle of a call: a new one may do."""


class StatementRefusedError(RefusedError):
    """The server is well and refused a statement: a missing table or right, a value that it cannot take.

    Args:
        message: What the server said.
        sqlstate: Its code; see PostgreSQL's appendix A.
    """

    def __init__(self, message: str, sqlstate: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate

    @property
    def is_for_want_of_a_table(self) -> bool:
        """Whether a table, or its schema, is not there."""
        return self.sqlstate in _UNDEFINED


def translated(
    error: psycopg.Error, where: str, connection: psycopg.Connection[Any] | None
) -> TierUnavailableError:
    """Return an error of psycopg as one of ours.

    Args:
        error: What psycopg raised.
        where: The server, without credentials.
        connection: The connection that the call had got; `None` if it got none.
    """
    reason = " ".join(str(error).split()) or type(error).__name__
    message = f"PostgreSQL at {where}: {reason}{_advice(error)}"
    if connection is None:
        return TransientError(message, may_have_run=False)
    state = error.sqlstate or ""
    if isinstance(error, DeadlineError):
        return TransientError(message, may_have_run=True)
    if connection.closed or state[:2] == _ROLLBACK:
        return ConnectionLostError(message, may_have_run=True)
    if state[:2] in _OUTAGES and state != _DISK_FULL:
        return TransientError(message, may_have_run=True)
    return StatementRefusedError(message, state)


def _advice(error: psycopg.Error) -> str:
    """Return what to do about an error by which a pooler makes itself known; mostly nothing."""
    if error.sqlstate in _UNPREPARED or "unsupported startup parameter" in str(error):
        return "; behind PgBouncer, set pooled to true for this tier, or give the server's own address"
    return ""
