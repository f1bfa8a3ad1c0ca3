"""A connection of one's own for commands that block."""

from collections.abc import Callable
from typing import Any

from greencache.backends.redis_address import RedisAddress
from greencache.backends.redis_connection import GuardedConnection
from greencache.backends.redis_errors import FOREIGN_ERRORS, explain_failure, explain_reply
from greencache.backends.redis_protocol import Argument, pack
from greencache.clock import Clock
from greencache.errors import TierUnavailableError
from greencache.forks import after_fork_in_child
from greencache.typing import Seconds

__all__ = ["RedisListener"]


class RedisListener:
    """Sends one command after the other over a connection outside of the pool; for one thread.

    It connects when it is first used, and again after a failure or a fork. Nothing is repeated, no breaker
    is asked: whoever listens must notice each interruption.

    Args:
        address: The server.
        connect: Makes a connection to it without opening it.
        read_timeout: Seconds that a reply may take; longer than what the commands block.
        clock: Tells the time.
        on_failure: Is told of each failure, as redis-py's or the system's error: the server may not be the
            right one any more.
    """

    def __init__(
        self,
        address: RedisAddress,
        connect: Callable[[], GuardedConnection],
        read_timeout: Seconds,
        clock: Clock,
        on_failure: Callable[[Exception], None] = lambda _: None,
    ) -> None:
        self._address = address
        self._connect = connect
        self._read_timeout = read_timeout
        self._clock = clock
        self._on_failure = on_failure
        self._is_closed = False
        self._forget()
        after_fork_in_child(self._forget)

    def _forget(self) -> None:
        self._connection: GuardedConnection | None = None

    def execute(self, *command: Argument) -> Any:
        """Send a command and return its reply, as `RedisManager.execute` does.

        Raises:
            TierUnavailableError: No reply in time, or `close` was called, before or meanwhile.
            ServerReplyError: The server says that the command is wrong.
        """
        packed = pack(command)
        connection = self._connection or self._connect()
        self._connection = connection
        # After the connection can be seen by close(): one of the two notices the other.
        if self._is_closed:
            raise TierUnavailableError(f"Redis {self._address.label}: this listener was closed")
        try:
            (reply,) = connection.exchange(packed, 1, self._clock.now() + self._read_timeout)
        except FOREIGN_ERRORS as error:
            self._on_failure(error)
            fault = explain_failure(self._address, error, may_have_run=connection.may_have_run)
        else:
            if not isinstance(reply, Exception):
                return reply
            self._on_failure(reply)
            fault = explain_reply(self._address, reply, may_have_run=False)
        finally:
            if connection.is_dirty:
                connection.abandon()
                self._connection = None
        raise fault

    def close(self) -> None:
        """End the connection; another thread that waits for a reply gets an error at once."""
        self._is_closed = True
        connection, self._connection = self._connection, None
        if connection is not None:
            # Only woken: to take the socket away from another thread that reads would confuse redis-py. It
            # is closed with the last reference, at once if nobody reads.
            connection.wake()
