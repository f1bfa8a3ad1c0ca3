"""One server to talk to, whether it is always the same one or, with Sentinel, the primary of the moment."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from greencache.backends.breaker import Breaker, BreakerState
from greencache.backends.redis_deployment import Deployment, Topology
from greencache.backends.redis_drift import SettingsCheck
from greencache.backends.redis_health import ask_health
from greencache.backends.redis_listener import RedisListener
from greencache.backends.redis_node import RedisNode
from greencache.backends.redis_pool import ConnectionPool
from greencache.backends.redis_protocol import Argument, pack, pack_batches
from greencache.backends.redis_report import RedisHealth
from greencache.backends.redis_scan import scan_node
from greencache.backends.redis_sentinel import Primary, PrimaryFinder
from greencache.backends.redis_sentinel_news import SentinelNews
from greencache.backends.redis_settings import NodeSettings
from greencache.backends.scripts import Script
from greencache.typing import Seconds

__all__ = ["SingleServer"]


class SingleServer:
    """Runs commands on the one server that has all keys.

    Args:
        deployment: Where it is, or who knows.
        settings: How to talk to it.
        breaker: Turns calls away while it is down.
    """

    def __init__(self, deployment: Deployment, settings: NodeSettings, breaker: Breaker) -> None:
        self._settings = settings
        self._deployment = deployment
        self.news: SentinelNews | None = None
        if deployment.topology is Topology.SENTINEL:
            finder = PrimaryFinder(
                deployment.service,
                deployment.seeds,
                settings.connection,
                clock=settings.clock,
                on_switch=self._move,
            )
            self.news = SentinelNews(finder, settings.clock)
        self.node = settings.node(deployment.member, breaker, self.news)
        self.watch = self.node.watch
        self.settings_check = SettingsCheck(deployment, settings)

    @property
    def label(self) -> str:
        """What the server is called in messages."""
        return self.node.address.label

    @property
    def pools(self) -> Sequence[ConnectionPool]:
        """The connections."""
        return (self.node.pool,)

    @property
    def state(self) -> BreakerState:
        """What its breaker does with calls."""
        return self.node.breaker.state

    @property
    def is_whole(self) -> bool:
        """Whether the server has answered when it was last asked."""
        return self.node.breaker.is_sound

    def is_answering(self, _: bytes) -> bool:
        """Return the same: it has all keys."""
        return self.node.breaker.is_sound

    def primary_of(self, _: bytes) -> RedisNode | None:
        """Return the server: it has all keys."""
        return self.node

    def scan(self, match: str | bytes, count: int, budget: Seconds) -> Iterator[list[bytes]]:
        """Yield the keys that match a pattern, batch by batch, each in so many seconds."""
        return scan_node(self.node, match, count, budget)

    def execute(self, command: Sequence[Argument], budget: Seconds, *, repeatable: bool) -> Any:
        """Return the reply to a command; an error reply that tells of no outage is one of our errors."""
        self._admitted([command])
        return self.node.exchange(pack(command), 1, budget, repeatable=repeatable)[0]

    def execute_many(
        self,
        commands: Iterable[Sequence[Argument]],
        budget: Seconds,
        *,
        repeatable: bool,
        waits: bool = True,  # noqa: ARG002 -- its keys are nowhere else
        script: Script | None = None,  # noqa: ARG002 -- whoever learns that it is not known has time left
    ) -> list[Any]:
        """Return the replies to commands in order, errors as of `execute` among them."""
        now = self._settings.clock.now
        end = now() + budget
        replies: list[Any] = []
        for packed, count in pack_batches(self._admitted(commands)):
            replies += self.node.exchange(packed, count, end - now(), repeatable=repeatable)
        return replies

    def await_replica(self, mark: Argument, timeout: Seconds, budget: Seconds) -> bool:
        """Return whether a replica has all that was written so far, after waiting that long at most."""
        return self.node.await_replica(pack(("SET", mark, "", "PX", 1_000)), timeout, budget)

    def open_listener(self, _: Argument, read_timeout: Seconds) -> RedisListener:
        """Return a connection of its own for commands on a key that block."""
        return RedisListener(
            self.node.address,
            self.node.new_listener,
            read_timeout,
            self._settings.clock,
            on_failure=self._doubt,
        )

    def check(self, budget: Seconds, *, compare: bool) -> RedisHealth:
        """Return how the server is, whatever its breaker thinks."""
        end = self._settings.clock.now() + budget
        health = ask_health(self.node, self._settings.clock, budget)
        return self.settings_check.complete(health, self.node.address, end) if compare else health

    def close(self) -> None:
        """Close all connections."""
        if self.news is not None:
            self.news.close()
        self.node.close()

    def _admitted(self, commands: Iterable[Sequence[Argument]]) -> Iterable[Sequence[Argument]]:
        limit = self._settings.limit
        return commands if limit is None else limit.admit(commands, self.label)

    def _doubt(self, _: Exception) -> None:
        if self.news is not None:
            self.news.doubt()

    def _move(self, primary: Primary) -> None:
        self.node.move(self._deployment.address_of(*primary.place))
