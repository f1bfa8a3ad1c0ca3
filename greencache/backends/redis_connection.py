"""redis-py's connections, made so that no reply can ever be taken for another's.

The promise: a connection is dirty from the moment before a command is written until its whole reply is read,
whatever unwinds the stack in between, and a dirty one is never used again (CVE-2023-28858, CVE-2023-28859,
redis/redis-py#4292).
"""

# What the first connection would import else: whoever forks in the midst of an import has a child that waits
# for its end for ever.
import encodings.idna  # noqa: F401
import socket
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

from redis._parsers import _HiredisParser, _RESP2Parser
from redis.backoff import NoBackoff
from redis.connection import (
    AbstractConnection,
    Connection,
    DefaultParser,
    UnixDomainSocketConnection,
)
from redis.maint_notifications import MaintNotificationsConfig
from redis.retry import Retry

from greencache.backends.redis_address import RedisAddress
from greencache.backends.redis_protocol import Client, pack
from greencache.backends.redis_socket import DeadlineSocket, keepalive_options
from greencache.backends.redis_tls import client_context
from greencache.errors import ConfigurationError
from greencache.typing import Seconds

__all__ = ["GuardedConnection", "Parser", "new_connection", "require_parser"]

Parser: TypeAlias = Literal["auto", "hiredis", "python"]

_PARSERS: dict[Parser, Any] = {"auto": DefaultParser, "hiredis": _HiredisParser, "python": _RESP2Parser}


class GuardedConnection(AbstractConnection):
    """A connection with one deadline per exchange and a memory of being dirty.

    Args:
        now: Reads the clock.
        connect_timeout: Seconds that connecting may take, within each exchange's deadline.
        options: What redis-py's connection takes.
    """

    def __init__(self, *, now: Callable[[], Seconds], connect_timeout: Seconds, **options: Any) -> None:
        self._now = now
        self._connect_limit = connect_timeout
        self._deadline: Seconds = 0.0
        self.is_dirty = False
        self.may_have_run = False
        """Whether the server may have executed what was last to be sent."""
        self.client: Client | None = None
        """As its server knows it, where somebody has asked."""
        self.generation: object = None
        """Set by the pool it belongs to."""
        self.on_open: Callable[[GuardedConnection, Seconds], None] | None = None
        """Is called when it is open, before anything else is sent, with the deadline for that."""
        self.locate: Callable[[Seconds], tuple[str, int]] | None = None
        """Says before each opening where to connect, instead of where it was last."""
        super().__init__(**options)
        self._has_leftover = _leftover_of_hiredis if isinstance(self._parser, _HiredisParser) else _leftover

    host: Any
    port: Any

    # redis-py reads these two while it connects to one address after the other.
    @property
    def socket_connect_timeout(self) -> Seconds:
        """Seconds left for connecting."""
        left = self._deadline - self._now()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left

    @socket_connect_timeout.setter
    def socket_connect_timeout(self, value: Seconds) -> None:
        """Ignore what redis-py would set."""

    @property
    def socket_timeout(self) -> Seconds:
        """Seconds left for connecting; the deadline of each exchange takes over afterwards."""
        return self.socket_connect_timeout

    @socket_timeout.setter
    def socket_timeout(self, value: Seconds) -> None:
        """Ignore what redis-py would set."""

    def open(self, deadline: Seconds) -> None:
        """Connect and log in.

        Args:
            deadline: A reading of the clock by which it must be done.

        Raises:
            OSError: Nobody answers there.
            redis.RedisError: Somebody does, but not as expected.
        """
        self.is_dirty = True
        self.may_have_run = False
        self.client = None
        if self.locate is not None:
            self._move(*self.locate(deadline))
        self._deadline = min(deadline, self._now() + self._connect_limit)
        connected = self._connect()  # type: ignore[no-untyped-call]
        self._sock: Any = DeadlineSocket(connected, self._now, self._deadline)
        self.on_connect_check_health(check_health=False)
        if self.on_open is not None:
            try:
                self.on_open(self, self._deadline)
            finally:
                self.is_dirty = True
                self.may_have_run = False  # of what the caller wants nothing was sent
        self.is_dirty = False

    def exchange(self, packed: bytes, count: int, deadline: Seconds) -> list[Any]:
        """Send commands and read all their replies; connects first if need be.

        Args:
            packed: The commands as bytes.
            count: How many they are.
            deadline: A reading of the clock by which it must be done.

        Returns:
            The replies in order; an error reply is an exception in its place.

        Raises:
            OSError: The connection broke or the deadline passed.
            redis.RedisError: The same, or what came is no reply.
        """
        self.send(packed, deadline)
        return self.receive(count, deadline)

    def send(self, packed: bytes, deadline: Seconds) -> None:
        """Do the first half of an exchange; the connection is dirty until the second half is done."""
        if self._sock is None:
            self.open(deadline)
        self.is_dirty = self.may_have_run = True
        sock = self._sock
        sock.deadline = deadline
        sock.sendall(packed)

    def receive(self, count: int, deadline: Seconds) -> list[Any]:
        """Do the second half."""
        self._sock.deadline = deadline
        read = self._parser.read_response
        replies = [read(disable_decoding=True) for _ in range(count)]
        # More than was asked for: whose reply would the next one be?
        self.is_dirty = self._has_leftover(self._parser)
        return replies

    @property
    def place(self) -> tuple[str, int]:
        """Host and port that it is, or will be, connected to; the path of a unix socket, and 0."""
        return self.host, getattr(self, "port", 0)

    def _move(self, host: str, port: int) -> None:
        self.host, self.port = host, port

    @property
    def is_stale(self) -> bool:
        """Whether it was closed by the server, or holds bytes that nobody asked for."""
        return self._sock is not None and self._sock.is_readable()

    def abandon(self) -> None:
        """Close it, and in a forked child only the child's copy of it; a later exchange opens it anew."""
        self.disconnect()  # type: ignore[no-untyped-call]

    def wake(self) -> None:
        """End the connection under whoever waits on it; that one cleans up."""
        sock = self._sock
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # it is down already


class _TcpConnection(GuardedConnection, Connection):
    """Over TCP."""


class _TlsConnection(_TcpConnection):
    """Over TLS.

    Args:
        tls: As of `client_context`.
        options: As of `GuardedConnection`.
    """

    def __init__(self, *, tls: Mapping[str, str], **options: Any) -> None:
        self._tls = tls
        super().__init__(**options)

    def _connect(self) -> socket.socket:
        context = client_context(self._tls)
        plain: socket.socket = super()._connect()  # type: ignore[no-untyped-call]
        try:
            secured = context.wrap_socket(plain, server_hostname=self.host, do_handshake_on_connect=False)
        except BaseException:
            plain.close()
            raise
        try:
            secured.do_handshake()
        except BaseException:
            secured.close()  # whatever unwinds the stack, a time-out of gevent included
            raise
        return secured


class _UnixConnection(GuardedConnection, UnixDomainSocketConnection):
    """Over a unix socket."""

    @property
    def host(self) -> str:
        """The path, for redis-py's records."""
        return str(self.path)

    @host.setter
    def host(self, value: str) -> None:
        """Ignore what redis-py would set."""


class _Packer:
    """redis-py's own commands, those of the login, packed by us."""

    @staticmethod
    def pack(*command: Any) -> list[bytes]:
        return [pack(command)]


def _leftover(parser: Any) -> bool:
    return bool(parser._buffer.get_pos())  # noqa: SLF001 -- 0 once all was read


def _leftover_of_hiredis(parser: Any) -> bool:
    return bool(parser._reader.has_data())  # noqa: SLF001


def new_connection(
    address: RedisAddress, *, now: Callable[[], Seconds], connect_timeout: Seconds, parser: Parser = "auto"
) -> GuardedConnection:
    """Return a connection that will be opened by its first exchange.

    Args:
        address: The server and the login.
        now: Reads the clock.
        connect_timeout: Seconds that connecting may take.
        parser: Which of redis-py's parsers reads replies; "auto" is hiredis if installed.
    """
    options: dict[str, Any] = {
        "db": address.db,
        "username": None if address.source else address.username,
        "password": address.password,
        "credential_provider": address.source,
        "protocol": 2,
        "parser_class": _PARSERS[parser],
        "command_packer": _Packer(),
        "driver_info": None,  # two round trips per connection that nobody needs
        "retry": Retry(NoBackoff(), 0),
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
        "now": now,
        "connect_timeout": connect_timeout,
    }
    if address.scheme == "unix":
        return _UnixConnection(path=address.path, **options)
    options |= {"host": address.host, "port": address.port, "socket_keepalive_options": keepalive_options()}
    if address.scheme == "rediss":
        return _TlsConnection(tls=address.tls, **options)
    return _TcpConnection(**options)


def require_parser(parser: str) -> None:
    """Refuse a parser that does not exist here.

    Raises:
        ConfigurationError: For another name, or for hiredis where it is not installed.
    """
    if parser not in _PARSERS:
        raise ConfigurationError(f"expected 'auto', 'hiredis' or 'python' as parser, got {parser!r}")
    if parser == "hiredis" and DefaultParser is not _HiredisParser:
        raise ConfigurationError("expected hiredis 3.2 or newer for parser='hiredis'; it is not installed")
