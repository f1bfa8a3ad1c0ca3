"""What was given up never runs late: before anything else, the server is told to end its connection.

A command that was not answered may still be under way: in the server, in a kernel, in a proxy. One that
overwrites would do so whenever it gets there, also after others have stored or dropped what is newer. It can
only get there on the connection that it was sent on; when the server has ended that, it has run, or never
will. CLIENT KILL is sent in front of the next commands, and so costs no round trip.
"""

from typing import Any, Final

from greencache.backends.redis_connection import GuardedConnection
from greencache.backends.redis_protocol import Client, pack
from greencache.typing import Seconds

__all__ = ["GivenUpClients", "end_of", "exchange_after"]

_MOST: Final = 1_000
"""Beyond that the oldest are forgotten: of a server that never answers again there is no end to them."""


class GivenUpClients:
    """The connections on which something may still arrive that this process does not wait for any more."""

    def __init__(self) -> None:
        self._clients: dict[Client, None] = {}

    def note(self, connection: GuardedConnection) -> None:
        """Take note of a connection if what was sent on it last has not been answered."""
        client = connection.client
        if client is not None and connection.is_dirty and connection.may_have_run:
            self._clients[client] = None
            # Copied in one atomic step: other threads may be at it.
            for oldest in list(self._clients)[:-_MOST]:
                self._clients.pop(oldest, None)

    def due(self, connection: GuardedConnection, deadline: Seconds) -> list[Client]:
        """Return what is to be ended before anything is sent on a connection, which is opened for that.

        Args:
            connection: Leads to the server.
            deadline: A reading of the clock by which it must be open.

        Raises:
            OSError, redis.RedisError: As of `GuardedConnection.open`.
        """
        if not self._clients:
            return []
        if not connection.is_connected:
            connection.open(deadline)
        # Under the numbers that another server has given there are others.
        own = connection.client
        return [] if own is None else [each for each in list(self._clients) if each.server == own.server]

    def ended(self, clients: list[Client]) -> None:
        """Forget those that a server has been told to end, and has answered.

        One that it has no client of is gone. One that the user may not end goes on, and that will not change.
        """
        for client in clients:
            self._clients.pop(client, None)


def end_of(clients: list[Client]) -> bytes:
    """Return the packed commands that end connections."""
    return b"".join(pack(("CLIENT", "KILL", "ID", client.number)) for client in clients)


def exchange_after(
    given_up: GivenUpClients, connection: GuardedConnection, packed: bytes, count: int, deadline: Seconds
) -> list[Any]:
    """Do what `GuardedConnection.exchange` does, after what was given up has been ended."""
    due = given_up.due(connection, deadline)
    replies = connection.exchange(end_of(due) + packed, len(due) + count, deadline)
    given_up.ended(due)
    return replies[len(due) :]
