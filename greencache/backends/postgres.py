"""PostgreSQL: connections, time limits, retries and health, in one object for each server."""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import psycopg

from greencache.backends.breaker import Breaker, OnChange
from greencache.backends.postgres_connection import BoundedConnection, refuse_late_patching
from greencache.backends.postgres_errors import ConnectionLostError, StatementRefusedError, translated
from greencache.backends.postgres_given_up import Effect, GivenUp
from greencache.backends.postgres_health import PostgresHealth, ask_health, pool_figures
from greencache.backends.postgres_parameters import connection_options, connection_parameters, described
from greencache.backends.postgres_pool import PoolKeeper
from greencache.backends.postgres_schema import is_installed, migrate
from greencache.backends.postgres_session import Params, PostgresSession, Row
from greencache.backends.postgres_sql import Statement, identifier, statement
from greencache.backends.retry import RetryPolicy, TransientError, retry_after
from greencache.clock import Clock, SystemClock
from greencache.errors import ConfigurationError, GreencacheError, TierUnavailableError
from greencache.options import check_duration
from greencache.typing import UNSET, Seconds, Unset

__all__ = ["Effect", "Params", "PostgresHealth", "PostgresManager", "PostgresSession", "Row", "Statement"]

T = TypeVar("T")

_RETRIES = RetryPolicy(retries=2, base=0.02, max_wait=0.2)
_INSTALL_TIME: Seconds = 30.0
_UNDEFINED_TABLE = ("42P01", "3F000")


class PostgresManager:
    """A PostgreSQL server, reached through a pool that opens when it is first used.

    Behind PgBouncer in transaction mode pass `prepare_threshold=None` and `statement_timeout=None`: it knows
    neither prepared statements (before 1.21) nor start-up options (before 1.20).

    Args:
        url: `postgresql://user:password@host:port/database`, or libpq's `key=value` words.
        timeout: Seconds that a call takes at most, all attempts and waits included.
        connect_timeout: Seconds to make a connection; libpq counts whole ones, 2 or more.
        min_connections: Connections kept open.
        max_connections: Connections open at most.
        statement_timeout: Seconds after which the server ends a statement; by default `timeout`, `None` for
            what the server is set to.
        prepare_threshold: After how many uses a statement is prepared; `None` for never.
        schema: The schema of greencache's own tables.
        retry: How to retry after a lost connection; within `timeout` in any case.
        breaker: Stops calls to a server that is down; one of its own by default.
        clock: The breaker's time.
        on_change: Is told when the server goes down and when it comes back.

    Raises:
        ConfigurationError: If the URL or another argument is of no use. Nothing is connected yet.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: Seconds = 1.0,
        connect_timeout: Seconds = 2.0,
        min_connections: int = 0,
        max_connections: int = 10,
        statement_timeout: Seconds | Unset | None = UNSET,
        prepare_threshold: int | None = 5,
        schema: str = "greencache",
        retry: RetryPolicy = _RETRIES,
        breaker: Breaker | None = None,
        clock: Clock | None = None,
        on_change: OnChange | None = None,
    ) -> None:
        if not 0 <= min_connections <= max_connections or max_connections < 1:
            raise ConfigurationError(
                f"expected min_connections from 0 to max_connections, and that 1 or more, "
                f"got {min_connections} and {max_connections}"
            )
        if len(identifier(schema, "schema")) != 1:
            raise ConfigurationError(f"expected schema as one name, got {schema!r}")
        self.schema = schema
        self.timeout = check_duration("timeout", timeout)
        self._server_timeout = self.timeout if statement_timeout is UNSET else statement_timeout
        self._parameters = functools.partial(connection_parameters, url, connect_timeout=connect_timeout)
        self._options = connection_options(prepare_threshold)
        parameters = self._parameters(timeout=self.timeout, statement_timeout=self._server_timeout)
        self.where = described(parameters)
        self._pool = PoolKeeper(
            parameters, options=self._options, min_size=min_connections, max_size=max_connections
        )
        self._retry = retry
        self.breaker = breaker or Breaker(clock=clock)
        if on_change is not None:
            self.breaker.subscribe(on_change)
        self._waits = SystemClock()
        self._given_up = GivenUp()
        self._has_schema = False

    def __repr__(self) -> str:
        return f"<PostgresManager {self.where}>"

    # -- statements ------------------------------------------------------------------------------------

    def statement(self, name: str) -> Statement:
        """Return a statement of `sql/`, such as `entries/get`."""
        return statement(name, self.schema)

    def fetch(self, query: Statement, params: Params = None, effect: Effect = Effect.HARMLESS) -> list[Row]:
        """Run one statement that may be run twice, and return its rows.

        Args:
            query: The statement.
            params: Its parameters.
            effect: What it does to what others have stored.

        Raises:
            StatementRefusedError: The server will not run it.
            TierUnavailableError: It was not answered in time, however often it was tried.
        """
        return self.call(lambda session: session.fetch(query, params), effect)

    def execute(self, query: Statement, params: Params = None) -> int:
        """Run one statement that may be run twice, and return how many rows it touched.

        Raises:
            StatementRefusedError: The server will not run it.
            TierUnavailableError: It was not answered in time, however often it was tried.
        """
        return self.call(lambda session: session.execute(query, params))

    @contextlib.contextmanager
    def transaction(self, timeout: Seconds | None = None) -> Iterator[PostgresSession]:
        """Open a transaction; it is committed at the end of the block, and never tried again.

        Args:
            timeout: Seconds for all of it; the manager's own by default.

        Raises:
            TierUnavailableError: The server did not answer in time, or refused a statement.
        """
        seconds = self.timeout if timeout is None else timeout
        with self._guarded(), self._session(time.monotonic() + seconds, is_transaction=True) as session:
            if timeout is not None:
                milliseconds = str(max(1, round(timeout * 1000)))
                session.fetch(b"select set_config('statement_timeout', %s, true)", [milliseconds])
            yield session

    def connect(self) -> BoundedConnection:
        """Return a connection of the caller's own, for what lasts as long as a session: locks, and LISTEN.

        Raises:
            TierUnavailableError: The server did not answer in time.
        """
        refuse_late_patching()
        try:
            return self._pool.connect(time.monotonic() + self.timeout)
        except psycopg.Error as error:
            raise translated(error, self.where, None) from error

    def new_pool(self, timeout: Seconds, max_connections: int) -> PoolKeeper:
        """Return a pool of the caller's own, unopened, with a time limit in seconds for each statement."""
        refuse_late_patching()
        limit = None if self._server_timeout is None else timeout
        parameters = self._parameters(timeout=timeout, statement_timeout=limit)
        return PoolKeeper(parameters, options=self._options, min_size=0, max_size=max_connections)

    # -- schema ----------------------------------------------------------------------------------------

    def install_schema(self) -> list[str]:
        """Create or migrate greencache's tables, and return the names of the migrations applied.

        May be called by many processes at once, and again: one of them does it, the others wait for it.

        Raises:
            ConfigurationError: The user may not create them.
            TierUnavailableError: The server did not answer in time.
        """
        applied: list[str] = []
        if not self.call(lambda session: is_installed(session, self.schema)):
            with self.transaction(_INSTALL_TIME) as session:
                applied = migrate(session, self.schema)
        self._has_schema = True
        return applied

    def ensure_schema(self) -> None:
        """Make sure, once in a process, that greencache's tables are there.

        Raises:
            TierUnavailableError: They are not, and cannot be created.
        """
        if self._has_schema:
            return
        try:
            self.install_schema()
        except ConfigurationError as error:
            # From a tier's method an outage is the only error.
            raise TierUnavailableError(str(error)) from error

    # -- health ----------------------------------------------------------------------------------------

    def check(self) -> PostgresHealth:
        """Ask the server how it is doing, past the breaker. Raises nothing: an outage is a finding."""
        try:
            with self._session(time.monotonic() + self.timeout) as session:
                health = ask_health(session)
        except GreencacheError as error:
            health = PostgresHealth(up=False, error=str(error))
        return dataclasses.replace(health, **pool_figures(self._pool.measures()))

    def close(self) -> None:
        """Give back the connections; may be called twice. Calls after it find the tier unavailable."""
        self._pool.close()

    # -- one call --------------------------------------------------------------------------------------

    def call(self, run: Callable[[PostgresSession], T], effect: Effect = Effect.HARMLESS) -> T:
        """Do something that may be done twice, on a connection of the pool, and return what it returns.

        Args:
            run: Does it.
            effect: What it does to what others have stored.

        Raises:
            TierUnavailableError: It was not done in time, however often it was tried.
        """
        deadline = time.monotonic() + self.timeout
        ordered = self._given_up.ordered(run, effect)

        def attempt() -> T:
            with self._session(deadline) as session:
                return ordered(session)

        with self._guarded():
            try:
                return attempt()
            except ConnectionLostError as error:
                return retry_after(
                    error, attempt, self._retry, may_retry=_may_help, clock=self._waits, give_up_at=deadline
                )

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Ask the breaker first, and tell it how it went."""
        if not self.breaker.allow():
            raise TierUnavailableError(f"PostgreSQL at {self.where} is down: {self.breaker.reason}")
        try:
            yield
        except TransientError as error:
            self.breaker.record_failure(str(error))
            raise
        except Exception as error:
            # It answered, if only to refuse, or the caller's own code failed inside a transaction.
            if isinstance(error, StatementRefusedError) and error.sqlstate in _UNDEFINED_TABLE:
                self._has_schema = False
            self.breaker.record_success()
            raise
        except BaseException:
            self.breaker.release()
            raise
        self.breaker.record_success()

    @contextlib.contextmanager
    def _session(self, deadline: Seconds, *, is_transaction: bool = False) -> Iterator[PostgresSession]:
        refuse_late_patching()
        connection: BoundedConnection | None = None
        try:
            with contextlib.ExitStack() as stack:
                connection = stack.enter_context(self._pool.connection(deadline))
                if is_transaction:
                    stack.enter_context(connection.transaction())
                yield PostgresSession(connection, self.where)
        except psycopg.Error as error:
            raise translated(error, self.where, connection) from error


def _may_help(error: BaseException) -> bool:
    """Return whether another attempt may do better, and no harm.

    Every statement here may run twice. Leases carry their own proof, even if the first of the two runs last:
    a reserve brings others each time, and a fill that ran has used its lease up. A put is repeated when the
    first one can run no more; a drop that runs late forgets.
    """
    return isinstance(error, ConnectionLostError)
