"""How to talk to a server, whichever it is."""

import dataclasses
import math
from collections.abc import Mapping

from greencache.backends.breaker import Breaker
from greencache.backends.rate_limit import RateLimit
from greencache.backends.redis_address import RedisAddress
from greencache.backends.redis_connection import GuardedConnection, Parser, new_connection, require_parser
from greencache.backends.redis_guide import Guide
from greencache.backends.redis_node import RedisNode
from greencache.backends.retry import RetryPolicy, Sleep
from greencache.clock import Clock
from greencache.errors import ConfigurationError
from greencache.typing import Seconds

__all__ = ["NodeSettings", "require_positive"]


@dataclasses.dataclass(frozen=True, slots=True)
class NodeSettings:
    """How to talk to a server, whichever it is.

    Args:
        timeout, connect_timeout, max_connections, retry, clock, sleep, parser: As of `RedisManager`.
        expected: The `server_settings` of `RedisManager`.
        limit: Turns commands away when there are too many of them.
    """

    timeout: Seconds
    connect_timeout: Seconds
    max_connections: int
    retry: RetryPolicy
    clock: Clock
    sleep: Sleep | None
    parser: Parser
    expected: Mapping[str, str] = dataclasses.field(default_factory=dict)
    limit: RateLimit | None = None

    def __post_init__(self) -> None:
        require_positive(timeout=self.timeout, connect_timeout=self.connect_timeout)
        if self.max_connections < 1:
            raise ConfigurationError(f"expected max_connections of 1 or more, got {self.max_connections!r}")
        require_parser(self.parser)

    def connection(self, address: RedisAddress) -> GuardedConnection:
        """Return a connection that will be opened by its first exchange."""
        return new_connection(
            address, now=self.clock.now, connect_timeout=self.connect_timeout, parser=self.parser
        )

    def node(self, address: RedisAddress, breaker: Breaker, guide: Guide | None = None) -> RedisNode:
        """Return a server, nothing of it opened yet."""
        return RedisNode(
            address,
            lambda: self.connection(address),
            max_connections=self.max_connections,
            timeout=self.timeout,
            probe_timeout=self.connect_timeout,
            retry=self.retry,
            breaker=breaker,
            clock=self.clock,
            sleep=self.sleep,
            guide=guide,
        )


def require_positive(**times: Seconds) -> None:
    """Refuse times that cannot work, by their names.

    Raises:
        ConfigurationError: If one is not a positive number.
    """
    for name, value in times.items():
        if not (math.isfinite(value) and value > 0):
            raise ConfigurationError(f"expected {name} as a positive number of seconds, got {value!r}")
