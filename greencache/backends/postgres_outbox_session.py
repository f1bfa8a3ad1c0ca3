"""The connection of the one process of a fleet that listens to the outbox."""

import contextlib
import os
import socket
import time

import psycopg

from greencache.backends.postgres import PostgresManager
from greencache.backends.postgres_errors import translated
from greencache.backends.postgres_session import PostgresSession
from greencache.typing import Seconds

__all__ = ["OutboxSession"]

_SETTINGS = {
    # A leader whose machine is gone must lose the lock within seconds, not hours.
    "tcp_keepalives_idle": "3",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "9000",
    "idle_session_timeout": "0",
    "application_name": "greencache listener",
}
_CONFIGURE = b"select pg_backend_pid(), " + b", ".join(
    f"set_config('{name}', '{value}', false)".encode() for name, value in _SETTINGS.items()
)
_LEAD = b"select pg_try_advisory_lock(hashtextextended(%s, 0))"

_inherited: list[object] = []
"""Sessions of parent processes, kept for ever: collecting one would complain that it was never closed."""


class OutboxSession:
    """A connection outside the pool, which holds a lock for as long as it lives.

    Args:
        manager: Knows the server.
        lock: The name of the lock.
        timeout: Seconds that each call takes at most.

    Raises:
        TierUnavailableError: The server did not answer in time.
    """

    def __init__(self, manager: PostgresManager, lock: str, timeout: Seconds) -> None:
        self._where = manager.where
        self._lock = lock
        self._timeout = timeout
        self._connection = manager.connect()
        try:
            # The same socket under another number, so that it is still ours when psycopg has closed its own.
            self._door = socket.socket(fileno=os.dup(self._connection.fileno()))
            [(pid, *_)] = self.session.fetch(_CONFIGURE)
        except BaseException:
            self._connection.close()
            raise
        # A pooler makes numbers up for its clients. What lasts for a session, as LISTEN and locks do, would
        # be somebody else's behind one that pools transactions; nobody can tell which kind it is.
        self.is_pooled = pid != self._connection.info.backend_pid

    @property
    def session(self) -> PostgresSession:
        """What statements are run on, from now on within the timeout; each commits by itself."""
        self._connection.deadline = time.monotonic() + self._timeout
        return PostgresSession(self._connection, self._where)

    def lead(self) -> bool:
        """Try to take the lock, listen if that succeeds, and return whether it did.

        Raises:
            TierUnavailableError: The server did not answer in time.
        """
        [(is_ours,)] = self.session.fetch(_LEAD, [self._lock])
        if is_ours:
            self.session.execute(b"listen greencache")
        return bool(is_ours)

    def wait(self, timeout: Seconds) -> None:
        """Wait until something may have been written, or the time is over.

        Args:
            timeout: Seconds.

        Raises:
            TierUnavailableError: The connection broke.
        """
        self._connection.deadline = time.monotonic() + timeout + self._timeout
        try:
            for _ in self._connection.notifies(timeout=timeout, stop_after=1):
                pass
        except psycopg.Error as error:
            raise translated(error, self._where, self._connection) from error

    def interrupt(self) -> None:
        """End a wait in another thread, and the connection with it."""
        # It may have ended already.
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection, which gives the lock free."""
        self._connection.close()
        self._door.close()

    def abandon(self) -> None:
        """Let go of the parent's connection in a forked child: it would stay open past the parent's end."""
        _inherited.append(self)
        with contextlib.suppress(psycopg.Error, OSError):
            os.close(self._connection.fileno())
        self._door.close()
