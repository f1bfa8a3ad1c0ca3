"""A Cluster as one server: each command goes to the node that has its keys."""

import contextlib
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from greencache.backends.breaker import Breaker, BreakerState
from greencache.backends.redis_cluster_health import ask_cluster
from greencache.backends.redis_cluster_map import ClusterMap
from greencache.backends.redis_cluster_round import ClusterRound
from greencache.backends.redis_cluster_scan import ClusterScan
from greencache.backends.redis_connection import GuardedConnection
from greencache.backends.redis_deployment import Deployment
from greencache.backends.redis_drift import SettingsCheck
from greencache.backends.redis_errors import redirect_of
from greencache.backends.redis_listener import RedisListener
from greencache.backends.redis_node import RedisNode
from greencache.backends.redis_pool import ConnectionPool
from greencache.backends.redis_protocol import Argument, pack
from greencache.backends.redis_report import RedisHealth
from greencache.backends.redis_routing import Part, Plan
from greencache.backends.redis_settings import NodeSettings
from greencache.backends.redis_slots import Place, slot_of
from greencache.backends.retry import TransientError, retry_after
from greencache.backends.scripts import Script
from greencache.errors import GreencacheError
from greencache.typing import Seconds

__all__ = ["RedisCluster"]

_MOST_HOPS = 5
"""How often a command is sent on at once; nodes that send it in circles are asked again after a wait."""


class RedisCluster:
    """Runs commands on the nodes of a Cluster.

    Args:
        deployment: Some of its nodes.
        settings: How to talk to a node.
        breaker: Each node gets one like it.
    """

    def __init__(self, deployment: Deployment, settings: NodeSettings, breaker: Breaker) -> None:
        self._deployment = deployment
        self._settings = settings
        self._clock = settings.clock
        self.map = ClusterMap(deployment, settings, breaker)
        self.watch = self.map.watch
        self.settings_check = SettingsCheck(deployment, settings)

    @property
    def label(self) -> str:
        """What it is called in messages."""
        return ",".join(seed.label for seed in self._deployment.seeds)

    @property
    def pools(self) -> Sequence[ConnectionPool]:
        """The connections, by node."""
        return [node.pool for node in self.map.nodes()]

    @property
    def state(self) -> BreakerState:
        """Closed while any node may be asked."""
        states = {node.breaker.state for node in self.map.nodes()} or {BreakerState.CLOSED}
        return min(states, key=list(BreakerState).index)

    @property
    def is_whole(self) -> bool:
        """Whether all slots have an owner, and each of these has answered when it was last asked."""
        return self.map.slots.is_whole and all(node.breaker.is_sound for node in self.map.nodes())

    def is_answering(self, key: bytes) -> bool:
        """Return whether the owner of a key has answered when it was last asked."""
        owner = self.primary_of(key)
        return owner is not None and owner.breaker.is_sound

    def primary_of(self, name: bytes) -> RedisNode | None:
        """Return the owner of a key; `None` while that is not known."""
        place = self.map.slots.owners[slot_of(name)]
        return None if place is None else self.map.node(place)

    def scan(self, match: str | bytes, count: int, budget: Seconds) -> Iterator[list[bytes]]:
        """Yield the keys of all nodes that match a pattern, batch by batch, each in so many seconds."""
        places = [(node.address.host, node.address.port) for node in self.primaries(budget)]
        return ClusterScan(self.map.node, match, count, budget).run(places)

    def primaries(self, budget: Seconds) -> Sequence[RedisNode]:
        """Return the nodes that have keys; raises as `ClusterMap.refresh` does."""
        self.map.refresh(self._clock.now() + budget)
        return self.map.nodes()

    def execute(self, command: Sequence[Argument], budget: Seconds, *, repeatable: bool) -> Any:
        """Return the reply to a command, or one of our errors."""
        return self.execute_many([command], budget, repeatable=repeatable)[0]

    def execute_many(
        self,
        commands: Iterable[Sequence[Argument]],
        budget: Seconds,
        *,
        repeatable: bool,
        waits: bool = True,
        script: Script | None = None,
    ) -> list[Any]:
        """Return the replies to commands in order; where a node is away, errors among them.

        Args:
            commands: What to run.
            budget: Seconds for all of them.
            repeatable: Whether to execute them twice is as good as once.
            waits: Whether those on several keys wait until a slot that is being moved has been.
            script: What all of them run by its digest; a node that does not know it is brought it along.
        """
        end = self._clock.now() + budget
        if (limit := self._settings.limit) is not None:
            commands = limit.admit(commands, self.label)
        if not self.map.slots.places:
            self.map.refresh(end)
        plans = [Plan(command, self.map.slots.places, script) for command in commands]
        parts = [part for plan in plans for part in plan.parts]

        def attempt() -> None:
            self._attempt(parts, end, repeatable=repeatable, waits=waits)

        try:
            attempt()
        except TransientError as failure:
            # What is still missing then has its error.
            with contextlib.suppress(TransientError):
                retry_after(
                    failure,
                    attempt,
                    self._settings.retry,
                    may_retry=lambda error: isinstance(error, TransientError),
                    clock=self._clock,
                    give_up_at=end,
                    sleep=self._settings.sleep,
                )
        return [plan.outcome for plan in plans]

    def await_replica(self, mark: Argument, timeout: Seconds, budget: Seconds) -> bool:
        """Return whether a replica of each node has all that was written so far."""
        end = self._clock.now() + min(timeout, budget)
        for node in self.primaries(budget):
            key = self._key_of((node.address.host, node.address.port), mark)
            left = max(0.001, end - self._clock.now())
            if not node.await_replica(pack(("SET", key, "", "PX", 1_000)), left, budget):
                return False
        return True

    def open_listener(self, key: Argument, read_timeout: Seconds) -> RedisListener:
        """Return a connection of its own to the node that has a key, whichever that is when it is opened."""
        slot = slot_of(key if isinstance(key, bytes) else str(key).encode())

        def locate(deadline: Seconds) -> Place:
            self.map.refresh(deadline)
            place = self.map.slots.owners[slot]
            if place is None:
                self.map.doubt()
                raise ConnectionError(f"no node of the Cluster owns slot {slot}")
            return place

        def greet(connection: GuardedConnection, deadline: Seconds) -> None:
            node = self.map.node(connection.place)
            node.adopt(connection)
            node.watch.greet(connection, deadline)

        def connect() -> GuardedConnection:
            connection = self._settings.connection(self._deployment.member)
            connection.locate, connection.on_open = locate, greet
            return connection

        return RedisListener(
            self._deployment.member, connect, read_timeout, self._clock, on_failure=self._redirect
        )

    def check(self, budget: Seconds, *, compare: bool) -> RedisHealth:
        """Return how all nodes are together, whatever their breakers think."""
        try:
            nodes = self.primaries(budget)
        except GreencacheError as error:
            return RedisHealth(up=False, error=str(error))
        return ask_cluster(nodes, self._clock, budget, self.settings_check if compare else None)

    def close(self) -> None:
        """Close all connections."""
        self.map.close()

    def _attempt(self, parts: Sequence[Part], end: Seconds, *, repeatable: bool, waits: bool) -> None:
        todo = [each for part in parts for each in part.left]
        for _ in range(1 + _MOST_HOPS):
            # What was sent elsewhere need not wait, nor what has another node to go to by now.
            around = ClusterRound(self.map, self._settings, end, repeatable=repeatable, waits=waits)
            todo = around.run(todo)
            if not todo:
                break
        for part in todo:
            part.fault = TransientError(
                f"Redis Cluster {self.label}: its nodes send a command to each other", may_have_run=False
            )
        for part in parts:
            for each in part.left:
                if each.fault is not None:
                    raise each.fault

    def _redirect(self, error: Exception) -> None:
        """Learn from the failure of a listener."""
        self.map.doubt()
        match redirect_of(error):
            case "MOVED", slot, host, port if host:
                self.map.move(slot, (host, port))

    def _key_of(self, place: Place, name: Argument) -> bytes:
        """Return a key that lives on a node."""
        owners, text = self.map.slots.owners, name if isinstance(name, bytes) else str(name).encode()
        while True:
            # Each primary owns slots, so this comes to an end soon.
            key = b"{%x}%b" % (random.getrandbits(32), text)
            if owners[slot_of(key)] == place or place not in self.map.slots.places:
                return key
