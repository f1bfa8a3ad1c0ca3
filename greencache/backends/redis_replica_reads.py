"""Reads of replicas that are proved to be hardly behind; whatever is not proved is left to the primary.

Why nothing older than the bound is found, and nothing older than what this process knows:

- An answer counts as of the newest sample of the primary's position that the replica had reached before it
  read the value, as it says in the same round trip. The sample counts as of before it was taken. So a replica
  that lags, was cut off, has started anew from an old snapshot or follows another primary proves nothing.
- A name that this process has read or written at the primary, or heard of, is answered only by what is proved
  to be newer than that. A write is noted when it is acknowledged and before its caller is told; who asks in
  between asks at the same time as it is written.
- Of two answers, the later one asked for is not at an earlier position than the earlier one.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from greencache.backends.redis_deployment import Deployment, Topology
from greencache.backends.redis_node import RedisNode
from greencache.backends.redis_replicas import Inquiry, Replicas
from greencache.backends.redis_settings import NodeSettings, require_positive
from greencache.backends.redis_slots import Place
from greencache.backends.redis_touched import Touched
from greencache.errors import ConfigurationError, TierUnavailableError
from greencache.typing import Seconds

__all__ = ["ReplicaReads", "replica_reads_of"]

_MOST_NAMES: Final = 500
"""For one replica in one round trip."""


class _Servers(Protocol):
    """Knows where names are."""

    @property
    def label(self) -> str: ...

    def primary_of(self, name: bytes) -> RedisNode | None: ...


class ReplicaReads:
    """Reads values at replicas, and says nothing of what it cannot prove.

    Args:
        servers: The primaries.
        deployment: How they are deployed.
        settings: How to talk to them.
        bound: Seconds that what is found may be behind.

    Raises:
        ConfigurationError: A single server, whose replicas are nobody's business; or no positive bound.
    """

    def __init__(
        self, servers: _Servers, deployment: Deployment, settings: NodeSettings, bound: Seconds
    ) -> None:
        require_positive(replica_reads=bound)
        if deployment.topology is Topology.STANDALONE:
            raise ConfigurationError(
                "expected redis+sentinel:// or redis+cluster:// for replica_reads, got a single server; take"
                " replica_reads out"
            )
        self.answered = 0
        """How many names replicas have answered for."""
        self._servers = servers
        self._deployment = deployment
        self._settings = settings
        self._bound = bound
        self._clock = settings.clock
        self._by_primary: dict[Place, Replicas] = {}
        touched = Touched(settings.clock)
        self.note, self.note_all = touched.note, touched.note_all
        self._last = touched.last

    def read(self, names: Sequence[bytes]) -> list[bytes | None]:
        """Return what is under names; `None` where the primary is to be asked. Raises no outage.

        Args:
            names: Where the values are, each of text.
        """
        answers: list[bytes | None] = [None] * len(names)
        asked = self._asked(names)
        while asked:
            now = {group: indexes[:_MOST_NAMES] for group, indexes in asked.items()}
            asked = {group: rest for group, indexes in asked.items() if (rest := indexes[_MOST_NAMES:])}
            self._ask(names, now, answers)
        self.answered += sum(answer is not None for answer in answers)
        return answers

    def close(self) -> None:
        """Close all connections to replicas."""
        for group in list(self._by_primary.values()):
            group.close()

    def _asked(self, names: Sequence[bytes]) -> dict[Replicas, list[int]]:
        """Return by primary the numbers of the names for which a replica could prove its answer."""
        asked: dict[Replicas, list[int]] = {}
        provable: dict[Replicas, Seconds | None] = {}
        for index, name in enumerate(names):
            primary = self._servers.primary_of(name)
            if primary is None:
                continue
            group = self._group(primary)
            if group not in provable:
                provable[group] = group.provable()
            newest = provable[group]
            # With as much time left as a replica may take.
            oldest = self._clock.now() + group.patience - self._bound
            if newest is not None and newest > max(oldest, self._last(name)):
                asked.setdefault(group, []).append(index)
        return asked

    def _ask(
        self, names: Sequence[bytes], asked: dict[Replicas, list[int]], answers: list[bytes | None]
    ) -> None:
        end = self._clock.now() + self._bound  # each has only a part of that, from when it is sent
        begun: list[tuple[Replicas, list[int], Inquiry, list[Seconds]]] = []
        try:
            for group, indexes in asked.items():
                # Before it is asked: what is noted from now on is written at the same time as it is read.
                floors = [self._last(names[index]) for index in indexes]
                inquiry = group.inquire([names[index] for index in indexes])
                if inquiry is not None:
                    begun.append((group, indexes, inquiry, floors))
                    self._send(inquiry, end)
            for group, indexes, inquiry, floors in begun:
                for index, reply in zip(indexes, self._taken(group, inquiry, floors, end), strict=True):
                    answers[index] = reply
        finally:
            for _, _, inquiry, _ in begun:
                inquiry.exchange.close()

    def _send(self, inquiry: Inquiry, end: Seconds) -> None:
        try:
            if self._settings.limit is not None:
                self._settings.limit.admit([(b"GET",)] * len(inquiry.names), self._servers.label)
            inquiry.exchange.send(end)
        except TierUnavailableError:
            return  # its breaker knows why
        inquiry.is_sent = True

    def _taken(
        self, group: Replicas, inquiry: Inquiry, floors: list[Seconds], end: Seconds
    ) -> list[bytes | None]:
        nothing: list[bytes | None] = [None] * len(floors)
        if not inquiry.is_sent:
            return nothing
        try:
            replies = inquiry.exchange.receive(end)
        except TierUnavailableError:
            return nothing
        proved = group.conclude(inquiry, replies)
        if proved is None or proved <= self._clock.now() - self._bound:
            return nothing
        # An error reply is no answer either: the primary says it again, or has the name by now.
        return [
            reply if proved > floor and isinstance(reply, bytes) else None
            for floor, reply in zip(floors, replies[1:-1], strict=True)
        ]

    def _group(self, primary: RedisNode) -> Replicas:
        place = primary.address.host, primary.address.port
        group = self._by_primary.get(place)
        if group is None or group.primary is not primary:
            made = Replicas(
                primary,
                self._settings,
                self._deployment.address_of,
                self._bound,
                is_sharded=self._deployment.topology is Topology.CLUSTER,
            )
            self._by_primary[place] = made
            if group is not None:
                group.close()
            return made
        return group


def replica_reads_of(
    servers: _Servers, deployment: Deployment, settings: NodeSettings, bound: Seconds | None
) -> ReplicaReads | None:
    """Return what reads values at replicas, or `None` if no bound allows that; raises as it does."""
    return None if bound is None else ReplicaReads(servers, deployment, settings, bound)
