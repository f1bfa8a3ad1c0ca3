"""One pool for each life of the server."""

import dataclasses
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from greencache.backends.postgres_connection import BoundedConnection
from greencache.forks import after_fork_in_child
from greencache.typing import Seconds

__all__ = ["PoolKeeper"]

_STRIKES = 3
"""Unanswered calls in a row after which connections are suspected, not the statements."""

_inherited: list[object] = []
"""Pools of parent processes, kept for ever: collecting one would reach for its threads and locks."""


@dataclasses.dataclass(slots=True, eq=False)
class _Life:
    """The time between two losses of the server."""

    pool: ConnectionPool[BoundedConnection]
    is_over: bool = False
    strikes: int = 0
    failure: psycopg.Error | None = None
    """Why the last attempt to connect failed, if nothing has succeeded since."""

    def note_failure(self, error: psycopg.Error) -> None:
        self.failure = error

    def note_success(self) -> None:
        self.strikes = 0
        self.failure = None

    def note_error(self, connection: BoundedConnection) -> None:
        if connection.missed_deadline:
            self.strikes += 1
            self.is_over = self.is_over or self.strikes >= _STRIKES
        elif connection.closed:
            self.is_over = True


class PoolKeeper:
    """Lends connections, and starts over with a new pool once the server was lost.

    psycopg_pool alone hands out dead connections one by one after a restart, and waits 4 to 10 seconds after
    the server is back, because its attempts to reconnect back off. Here the first connection found dead ends
    the pool's life: whoever comes next knocks at the server's door, which takes no time if it is closed, and
    then opens a new pool.

    Args:
        parameters: Connection parameters of libpq.
        options: Arguments of `psycopg.Connection.connect`.
        min_size: Connections kept open.
        max_size: Connections open at most.
    """

    def __init__(
        self, parameters: Mapping[str, Any], *, options: Mapping[str, Any], min_size: int, max_size: int
    ) -> None:
        self._parameters = dict(parameters)
        self._options = dict(options)
        self._min_size = min_size
        self._max_size = max_size
        self._life: _Life | None = None
        self._is_closed = False
        self._lock = threading.Lock()
        after_fork_in_child(self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        if self._life is not None:
            _inherited.append(self._life)
            self._life = None

    @contextmanager
    def connection(self, deadline: Seconds) -> Iterator[BoundedConnection]:
        """Lend a connection, all calls on which end at the deadline.

        Args:
            deadline: In seconds of `time.monotonic`.

        Raises:
            psycopg.Error: There is none to be had: refused, or not in time.
        """
        life, connection = self._acquire(deadline)
        try:
            connection.deadline = deadline
            yield connection
            life.note_success()
        except BaseException:
            life.note_error(connection)
            raise
        finally:
            # Not in a child forked meanwhile: there the pool's lock may be held for ever.
            if not connection.is_inherited:
                life.pool.putconn(connection)

    def connect(self, deadline: Seconds) -> BoundedConnection:
        """Return a connection that is the caller's own; the pool does not know of it.

        Args:
            deadline: In seconds of `time.monotonic`.

        Raises:
            psycopg.Error: There is none to be had.
        """
        _knock(self._parameters, deadline)
        connection = BoundedConnection.connect(
            psycopg.conninfo.make_conninfo("", **self._parameters), **self._options
        )
        connection.deadline = deadline
        return connection

    def measures(self) -> dict[str, int]:
        """Return the pool's own figures, named as psycopg_pool names them; empty before the first use."""
        life = self._life
        return life.pool.get_stats() if life else {}

    def close(self, timeout: Seconds = 1.0) -> None:
        """Close idle connections now, those in use when they come back; may be called twice."""
        with self._lock:
            self._is_closed = True
            life, self._life = self._life, None
        if life is not None:
            life.pool.close(timeout)

    def _acquire(self, deadline: Seconds) -> tuple[_Life, BoundedConnection]:
        while True:
            life = self._current(deadline)
            try:
                return life, life.pool.getconn(max(0.0, deadline - time.monotonic()))
            except PoolClosed:
                # Another thread has replaced this pool since.
                if self._life is life:
                    raise
            except PoolTimeout as error:
                if life.failure is None:
                    raise PoolTimeout(f"{error}: all {self._max_size} are in use") from None
                life.is_over = True
                raise psycopg.OperationalError(str(life.failure)) from None

    def _current(self, deadline: Seconds) -> _Life:
        life = self._life
        if life is not None and not life.is_over:
            return life
        _knock(self._parameters, deadline)
        with self._lock:
            if self._is_closed:
                raise PoolClosed("it was closed")
            if self._life is not life and self._life is not None:
                return self._life
            # Opening starts threads and waits for no server, so it may happen under the lock.
            self._life = fresh = self._open()
        if life is not None:
            # It joins workers that may hang in connecting to the old server.
            threading.Thread(target=life.pool.close, name="greencache-postgres-retire", daemon=True).start()
        return fresh

    def _open(self) -> _Life:
        options = dict(self._options)
        pool = ConnectionPool(
            psycopg.conninfo.make_conninfo("", **self._parameters),
            connection_class=BoundedConnection,
            kwargs=options,
            open=False,
            # Its own attempts to come back are given up soon: ours are faster.
            reconnect_timeout=1.0,
            min_size=self._min_size,
            max_size=self._max_size,
        )
        life = _Life(pool)
        options["on_failure"] = life.note_failure
        pool.open()
        return life


def _knock(parameters: Mapping[str, Any], deadline: Seconds) -> None:
    """Return at once if any of the hosts accepts connections.

    Raises:
        psycopg.OperationalError: None does.
    """
    hosts = str(parameters.get("hostaddr") or parameters.get("host") or "").split(",")
    if not all(hosts):
        return  # libpq's own default: it knows where that is
    ports = str(parameters.get("port") or 5432).split(",")
    failures = []
    for number, host in enumerate(hosts):
        port = int(ports[number] if len(ports) == len(hosts) else ports[0])
        try:
            _touch(host, port, max(0.001, deadline - time.monotonic()))
        except OSError as error:
            failures.append(f"{host}:{port}: {error.strerror or error}")
        else:
            return
    raise psycopg.OperationalError("; ".join(failures))


def _touch(host: str, port: int, timeout: Seconds) -> None:
    if not host.startswith(("/", "@")):
        socket.create_connection((host, port), timeout).close()
        return
    address = f"{host}/.s.PGSQL.{port}"
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(timeout)
        door.connect("\0" + address[1:] if host.startswith("@") else address)
