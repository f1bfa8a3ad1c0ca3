"""One batch on its way to one node: written first and read later, so that several nodes work at once."""

from collections.abc import Callable
from typing import Any

from greencache.backends.redis_connection import GuardedConnection
from greencache.backends.redis_errors import FOREIGN_ERRORS, explain_failure
from greencache.backends.redis_given_up import end_of
from greencache.backends.redis_node import RedisNode
from greencache.backends.redis_protocol import Client
from greencache.backends.retry import RefusedError
from greencache.errors import GreencacheError, TierUnavailableError
from greencache.typing import Seconds

__all__ = ["GRACE", "Exchange"]

GRACE: Seconds = 0.02
"""For replies that are there already when the time is up, since another node has used it all."""


class Exchange:
    """Commands for one node; to be closed whatever happens.

    Args:
        node: Who is to run them.
        packed: The commands as bytes.
        count: How many they are.
        now: Reads the clock.
        repeatable: Whether to execute them twice, or late, is as good as once.
    """

    __slots__ = (
        "_began",
        "_connection",
        "_count",
        "_due",
        "_is_reported",
        "_limit",
        "_now",
        "_packed",
        "_repeatable",
        "node",
    )

    def __init__(
        self, node: RedisNode, packed: bytes, count: int, now: Callable[[], Seconds], *, repeatable: bool
    ) -> None:
        self.node = node
        self._repeatable = repeatable
        self._due: list[Client] = []
        self._packed = packed
        self._count = count
        self._connection: GuardedConnection | None = None
        self._is_reported = True
        self._now = now
        self._began = self._limit = 0.0

    def send(self, end: Seconds) -> None:
        """Write them.

        Args:
            end: A reading of the clock by which it must be done.

        Raises:
            TierUnavailableError: Not written, or not as a whole; or the node's breaker is open.
        """
        limit = self.node.admit()
        self._is_reported = False
        self._began = self._now()
        self._limit = self._began + limit
        try:
            self._connection = self.node.pool.acquire(end)
            deadline = min(end, self._limit)
            self._due = self.node.given_up.due(self._connection, deadline)
            self._connection.send(end_of(self._due) + self._packed, deadline)
        except RefusedError:
            raise
        except FOREIGN_ERRORS as error:
            fault = self._explain(error)
        else:
            return
        # Not within the except clause: redis-py's frames have passwords among their variables.
        raise fault

    def receive(self, end: Seconds) -> list[Any]:
        """Return the replies in order, error replies as redis-py's exceptions.

        Args:
            end: A reading of the clock by which they must be there.

        Raises:
            TierUnavailableError: They are not.
        """
        connection = self._connection
        assert connection is not None  # noqa: S101 -- it was sent
        try:
            count = len(self._due) + self._count
            replies = connection.receive(count, min(end, max(self._limit, self._now() + GRACE)))
        except FOREIGN_ERRORS as error:
            fault = self._explain(error)
        else:
            self.node.given_up.ended(self._due)
            return replies[len(self._due) :]
        raise fault

    def report(self, outage: GreencacheError | None) -> None:
        """Tell the breaker what the replies say of the node: `None` if it is well."""
        self._is_reported = True
        if outage is None:
            self.node.breaker.record_success()
        else:
            self.node.breaker.record_failure(str(outage), self._now() - self._began)

    def close(self) -> None:
        """Give the connection back; a dirty one is not used again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            if not self._repeatable:
                self.node.given_up.note(connection)
            self.node.pool.release(connection)
        if not self._is_reported:
            self.node.breaker.release()

    def _explain(self, error: Exception) -> GreencacheError:
        may_have_run = self._connection is not None and self._connection.may_have_run
        fault = explain_failure(self.node.address, error, may_have_run=may_have_run)
        if isinstance(fault, TierUnavailableError) and not isinstance(fault, RefusedError):
            self.report(fault)
        return fault
