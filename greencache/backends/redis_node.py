"""One Redis server: its pool, its breaker, its retries."""

import weakref
from collections.abc import Callable
from typing import Any

from greencache.backends.breaker import Breaker, BreakerState
from greencache.backends.redis_address import RedisAddress
from greencache.backends.redis_connection import GuardedConnection
from greencache.backends.redis_errors import (
    FOREIGN_ERRORS,
    closed_by_peer,
    explain_failure,
    explain_reply,
    is_demoted,
)
from greencache.backends.redis_given_up import GivenUpClients, exchange_after
from greencache.backends.redis_guide import Guide
from greencache.backends.redis_pool import ConnectionPool
from greencache.backends.redis_protocol import pack
from greencache.backends.redis_watch import ServerWatch
from greencache.backends.retry import RefusedError, RetryPolicy, Sleep, TransientError, retry_after
from greencache.clock import Clock
from greencache.errors import GreencacheError, TierUnavailableError
from greencache.typing import Seconds

__all__ = ["RedisNode"]


class RedisNode:
    """Exchanges packed commands for replies with one server, in bounded time, or says why not.

    Args:
        address: The server.
        connect: Makes a connection to it without opening it.
        max_connections: How many may be alive at once.
        timeout: Seconds for one attempt.
        probe_timeout: Seconds for an attempt while the breaker is open: who tries whether a server that has
            hung is back does not wait as long as one who expects an answer.
        retry: How often a failed attempt is repeated.
        breaker: Turns calls away while the server is down.
        clock: Tells the time.
        sleep: Waits between attempts.
        guide: Says where the server is, if it may move; whoever knows that it has, calls `move`.
    """

    def __init__(
        self,
        address: RedisAddress,
        connect: Callable[[], GuardedConnection],
        *,
        max_connections: int,
        timeout: Seconds,
        probe_timeout: Seconds,
        retry: RetryPolicy,
        breaker: Breaker,
        clock: Clock,
        sleep: Sleep | None = None,
        guide: Guide | None = None,
    ) -> None:
        self.address = address
        self.breaker = breaker
        self._connect = connect
        self._guide = guide
        self._listeners: list[weakref.ref[GuardedConnection]] = []
        self._pool = ConnectionPool(self.new_connection, max_connections, address.label, clock)
        self.watch = ServerWatch(self._pool.renew)
        self.given_up = GivenUpClients()
        self.scripts: set[str] = set()
        """Digests of those that it is known to know, until it says otherwise."""
        self._timeout = timeout
        self._probe_timeout = min(timeout, probe_timeout)
        self._retry = retry
        self._clock = clock
        self._now = clock.now
        self._sleep = sleep

    @property
    def pool(self) -> ConnectionPool:
        """Its connections."""
        return self._pool

    def new_connection(self) -> GuardedConnection:
        """Return a connection that will tell, when it is first used, who answers on it."""
        connection = self._connect()
        connection.on_open = self._greet
        if self._guide is not None:
            connection.locate = self._guide.locate
        return connection

    def new_listener(self) -> GuardedConnection:
        """Return such a connection for somebody who keeps it."""
        connection = self.new_connection()
        self.adopt(connection)
        return connection

    def adopt(self, connection: GuardedConnection) -> None:
        """End a connection outside of the pool too when the server is left."""
        self._listeners = [each for each in self._listeners if each() is not None]
        self._listeners.append(weakref.ref(connection))

    def move(self, address: RedisAddress) -> None:
        """Use another server from now on, and end all connections to any other at once.

        Whoever waits for a reply there gets an error now instead of after a time-out, and nobody takes a
        former primary's silence, or what it still acknowledges, for the truth.
        """
        self.address = address
        self.leave((address.host, address.port))
        self.breaker.hasten()

    def leave(self, place: tuple[str, int] | None = None) -> None:
        """End all connections, except those to a place; whoever waits for a reply gets an error now."""
        self._pool.renew()
        kept = (each() for each in self._listeners)
        for connection in [*self._pool.connections(), *kept]:
            if connection is not None and connection.place != place:
                connection.wake()

    def exchange(self, packed: bytes, count: int, deadline: Seconds, *, repeatable: bool) -> list[Any]:
        """Return the replies to some commands.

        Args:
            packed: The commands as bytes.
            count: How many they are.
            deadline: Seconds for all attempts together.
            repeatable: Whether to execute them twice is as good as once.

        Returns:
            The replies in order; an error reply that tells of no outage is one of our errors in its place.

        Raises:
            TierUnavailableError: No answer in time, or the breaker is open.
        """
        if deadline <= 0:
            raise RefusedError(f"Redis {self.address.label}: the deadline passed before it could be asked")
        end = self._now() + deadline
        try:
            return self._attempt(packed, count, end, repeatable)
        except TransientError as error:
            return retry_after(
                error,
                lambda: self._attempt(packed, count, end, repeatable),
                self._retry,
                may_retry=lambda failure: self._may_retry(failure, repeatable),
                clock=self._clock,
                give_up_at=end,
                sleep=self._sleep,
            )

    def await_replica(self, write: bytes, timeout: Seconds, deadline: Seconds) -> bool:
        """Return whether a replica has all that was written so far, by anybody, waiting for it.

        Args:
            write: A packed command that changes something, whatever is there.
            timeout: Seconds to wait at most.
            deadline: As of `exchange`, whose errors it raises too.
        """
        # Half of an attempt's time: else to wait in vain would pass for an outage.
        patience = max(1, round(1_000 * min(timeout, self._timeout / 2, deadline / 2)))
        # WAIT waits for what its own connection has written last. All writes of a server are in one order,
        # so a replica that has this one has all before it, whoever made them.
        packed = write + pack(("WAIT", 1, patience))
        for reply in (replies := self.exchange(packed, 2, deadline, repeatable=True)):
            if isinstance(reply, GreencacheError):
                raise reply
        return bool(replies[1] >= 1)

    def admit(self) -> Seconds:
        """Let a call pass, which then tells the breaker what came of it, and return how long it may take.

        Raises:
            TierUnavailableError: The breaker is open.
        """
        breaker = self.breaker
        if not breaker.allow():
            raise TierUnavailableError(
                f"Redis {self.address.label} is left alone for another {breaker.next_probe_in:.1f} s "
                f"(circuit breaker {breaker.state}): {breaker.reason}"
            )
        return self._probe_timeout if breaker.is_open else self._timeout

    def attempt_once(self, packed: bytes, count: int, deadline: Seconds) -> list[Any]:
        """Do the same in one attempt that neither asks the breaker nor tells it."""
        end = self._now() + deadline
        connection = self._pool.acquire(end)
        try:
            return self._talk(connection, packed, count, end, repeatable=True)
        finally:
            self._pool.release(connection)

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()

    def _greet(self, connection: GuardedConnection, deadline: Seconds) -> None:
        if self._guide is not None:
            self._guide.require_primary(connection, deadline)
        self.watch.greet(connection, deadline)

    def _doubt(self) -> None:
        if self._guide is not None:
            self._guide.doubt()

    def _may_retry(self, failure: BaseException, repeatable: bool) -> bool:
        return (
            isinstance(failure, TransientError)
            and (repeatable or not failure.may_have_run)
            # A probe asks once, and whoever opened the breaker has tried often enough.
            and self.breaker.state is BreakerState.CLOSED
        )

    def _attempt(self, packed: bytes, count: int, end: Seconds, repeatable: bool) -> list[Any]:
        breaker = self.breaker
        limit = self.admit()
        began = self._now()
        try:
            replies = self._lend(packed, count, end, limit, repeatable)
        except RefusedError:
            breaker.release()
            raise
        except TierUnavailableError as outage:
            breaker.record_failure(str(outage), self._now() - began)
            raise
        except BaseException:
            breaker.release()
            raise
        breaker.record_success()
        return replies

    def _lend(self, packed: bytes, count: int, end: Seconds, limit: Seconds, repeatable: bool) -> list[Any]:
        connection = self._pool.acquire(end)
        try:
            return self._talk(connection, packed, count, min(end, self._now() + limit), repeatable)
        finally:
            if not repeatable:
                self.given_up.note(connection)
            self._pool.release(connection)

    def _talk(
        self, connection: GuardedConnection, packed: bytes, count: int, end: Seconds, repeatable: bool
    ) -> list[Any]:
        try:
            replies = self._exchange(connection, packed, count, end, repeatable)
        except FOREIGN_ERRORS as error:
            self._doubt()
            fault = explain_failure(self.address, error, may_have_run=connection.may_have_run)
        else:
            for reply in replies:
                if isinstance(reply, Exception):
                    return self._explained(replies)
            return replies
        # Not within the except clause: redis-py's frames have passwords among their variables, and what
        # prints the chain of an error may print these too.
        raise fault

    def _exchange(
        self, connection: GuardedConnection, packed: bytes, count: int, end: Seconds, repeatable: bool
    ) -> list[Any]:
        was_open = connection.is_connected
        try:
            return exchange_after(self.given_up, connection, packed, count, end)
        except FOREIGN_ERRORS as error:
            if not (was_open and closed_by_peer(error)):
                raise
            # It restarted, or hung up on an idle connection in this moment: no outage yet, a new one tells.
            self._pool.drop_idle()
            if not repeatable:
                raise
        connection.abandon()
        self._doubt()
        return exchange_after(self.given_up, connection, packed, count, end)

    def _explained(self, replies: list[Any]) -> list[Any]:
        explained: list[Any] = []
        for reply in replies:
            if not isinstance(reply, Exception):
                explained.append(reply)
                continue
            fault = explain_reply(self.address, reply, may_have_run=len(replies) > 1)
            if self._guide is not None and is_demoted(reply):
                # Somebody else is the primary by now, or soon; the very connection is not to be used again.
                self._doubt()
                self._pool.renew()
                raise TransientError(str(fault), may_have_run=len(replies) > 1)
            if isinstance(fault, TierUnavailableError) and not isinstance(fault, RefusedError):
                raise fault
            if isinstance(fault, RefusedError):
                self._pool.drop_idle()  # behind the same name there may be another primary by now
            explained.append(fault)
        return explained
