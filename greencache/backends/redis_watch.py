"""Notices that another server answers at an address: after a failover, or a restart.

Redis replicates asynchronously, so the other server may lack what was written last. Who needs to know can
only learn it from the server itself: INFO names its process (`run_id`) and the history of its data
(`master_replid`) in all versions from 6.2 on, and in Valkey. HELLO and ROLE name neither.
"""

import re
import threading
from collections.abc import Callable
from typing import Any, TypeAlias

from greencache.backends.redis_connection import GuardedConnection
from greencache.backends.redis_protocol import Client, pack
from greencache.forks import after_fork_in_child

__all__ = ["OnSuccessor", "OnUnknown", "ServerWatch"]

OnSuccessor: TypeAlias = Callable[[str], None]
"""Is told who answers now; by each thread that noticed it at once."""
OnUnknown: TypeAlias = Callable[[str], None]
"""Is told why it cannot be known who answers."""

# Two of them: 6.2 takes one section only. One round trip.
_WHO = pack(["INFO", "server"]) + pack(["INFO", "replication"]) + pack(["CLIENT", "ID"])
_PROCESS = re.compile(rb"^run_id:(\w+)", re.MULTILINE)
_HISTORY = re.compile(rb"^master_replid:(\w+)", re.MULTILINE)


class ServerWatch:
    """Compares who answers on each new connection with who answered on the last one.

    Nothing is asked before somebody has subscribed.

    Args:
        renew: Sees to it that no connection is used again that was opened until now.
    """

    def __init__(self, renew: Callable[[], None]) -> None:
        self.changes = 0
        """Differs from what it was when another server was noticed meanwhile."""
        self._renew = renew
        self._known = ""
        self._has_told_unknown = False
        self._subscribers: list[tuple[OnSuccessor, OnUnknown]] = []
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        self._lock = threading.Lock()

    def subscribe(self, on_successor: OnSuccessor, on_unknown: OnUnknown) -> None:
        """Let somebody know, on the thread that opened the connection, before that is used.

        Args:
            on_successor: Is told who answers now. Neither it nor `on_unknown` may use the server.
            on_unknown: Is told, once, why it cannot be known who answers.
        """
        self._subscribers.append((on_successor, on_unknown))

    def greet(self, connection: GuardedConnection, deadline: float) -> None:
        """Ask a new connection who answers on it.

        Args:
            connection: Nobody else uses it.
            deadline: A reading of the clock by which it must be done.

        Raises:
            OSError, redis.RedisError: As of `GuardedConnection.exchange`.
        """
        if not self._subscribers:
            return
        server, replication, number = connection.exchange(_WHO, 3, deadline)
        process, history = _found(_PROCESS, server), _found(_HISTORY, replication)
        if process and isinstance(number, int):
            connection.client = Client(process, number)
        if process or history:
            # The process alone would not do: one that has followed another server for a while, and so has
            # taken its data, may be back in its place.
            self.note(f"{process}/{history}")
        else:
            self._note_unknown(server)

    def note(self, identity: str) -> None:
        """Tell all who have subscribed, if this is not who answered before.

        Args:
            identity: Who answers now. Who answers first is nobody's successor.
        """
        with self._lock:
            known = self._known or identity
            self._known = known
        if identity == known:
            return
        self.announce(identity)
        with self._lock:
            self._known = identity

    def announce(self, identity: str, change: Callable[[], None] | None = None) -> None:
        """Tell all who have subscribed that another server answers.

        Args:
            identity: What it is called.
            change: Is done when they know, and before anybody can rely on the count.
        """
        # Several connections may be opened at once. Each thread does all of this before it uses its own, and
        # only then is the server known: so whoever finds it known finds all of it done.
        self._count()
        self._renew()
        for on_successor, _ in self._subscribers:
            on_successor(identity)
        if change is not None:
            change()
        # Counted twice, before and after. A write that has seen no count began and ended before the first, so
        # those who were told knew of it; one that began after it is on a connection opened anew, or was known
        # to them likewise. A read that began after the first may have missed what was told, not the second.
        self._count()

    def _count(self) -> None:
        with self._lock:
            self.changes += 1

    def _note_unknown(self, reply: Any) -> None:
        reason = str(reply) if isinstance(reply, Exception) else "the reply has no run_id"
        self._tell_unknown(f"INFO does not say which server answers: {reason}")

    def _tell_unknown(self, reason: str) -> None:
        with self._lock:
            has_told, self._has_told_unknown = self._has_told_unknown, True
        if has_told:
            return
        for _, on_unknown in self._subscribers:
            on_unknown(reason)


def _found(field: re.Pattern[bytes], reply: Any) -> str:
    found = field.search(reply) if isinstance(reply, bytes) else None
    return found[1].decode() if found else ""
