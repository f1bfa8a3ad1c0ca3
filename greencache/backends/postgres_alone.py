"""A connection for work that lasts, beside those that requests wait for."""

import contextlib
import time
from collections.abc import Iterator

from greencache.backends.postgres import PostgresManager
from greencache.backends.postgres_session import PostgresSession
from greencache.typing import Seconds

__all__ = ["alone"]


@contextlib.contextmanager
def alone(manager: PostgresManager, timeout: Seconds) -> Iterator[PostgresSession]:
    """Open a connection outside the pool, and past the breaker: nobody waits for it, and it takes none away.

    Args:
        manager: Knows the server.
        timeout: Seconds for all that is done on it.

    Raises:
        TierUnavailableError: The server did not answer in time.
    """
    deadline = time.monotonic() + timeout
    with contextlib.closing(manager.connect()) as connection:
        connection.deadline = deadline
        yield PostgresSession(connection, manager.where)
