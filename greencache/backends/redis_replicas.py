"""The replicas of one primary, and what they may be asked."""

import dataclasses
import random
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from greencache.backends.breaker import Breaker
from greencache.backends.redis_address import RedisAddress
from greencache.backends.redis_connection import GuardedConnection
from greencache.backends.redis_exchange import Exchange
from greencache.backends.redis_node import RedisNode
from greencache.backends.redis_protocol import pack
from greencache.backends.redis_replica_proof import POSITION, Position, Samples, position_of, sample_of
from greencache.backends.redis_settings import NodeSettings
from greencache.backends.redis_slots import Place
from greencache.errors import GreencacheError, TierUnavailableError
from greencache.forks import after_fork_in_child
from greencache.typing import Seconds

__all__ = ["Inquiry", "Replicas"]

_PARTS: Final = 4
"""A primary is sampled this often within the bound, and a replica gets such a part of it to answer."""
_READONLY = pack((b"READONLY",))
_MOST_REST: Seconds = 16.0


class _ReplicaGuide:
    """Where a replica is; that of a Cluster is told on each new connection that it is read from."""

    def __init__(self, place: Place, *, is_sharded: bool) -> None:
        self._place = place
        self._is_sharded = is_sharded

    def locate(self, _: Seconds) -> Place:
        return self._place

    def doubt(self) -> None:
        """What a replica fails to do says nothing of the primary."""

    def require_primary(self, connection: GuardedConnection, deadline: Seconds) -> None:
        if self._is_sharded:
            (reply,) = connection.exchange(_READONLY, 1, deadline)
            if isinstance(reply, Exception):
                raise reply


class Inquiry:
    """Names that a replica is asked for.

    Args:
        exchange: With the replica.
        names: What it is asked for.
        reached: How new the answers were that had been taken when it was asked.
    """

    __slots__ = ("exchange", "is_sent", "names", "place", "reached")

    def __init__(
        self, exchange: Exchange, names: Sequence[bytes], place: Place, reached: Position | None
    ) -> None:
        self.exchange = exchange
        self.is_sent = False
        self.names = names
        self.place = place
        self.reached = reached


class Replicas:
    """Asks one replica of a primary, the same one as long as it keeps up.

    Args:
        primary: The primary.
        settings: How to talk to servers.
        address_of: Returns the address of the server at a place, with our login.
        bound: Seconds that a replica may be behind.
        is_sharded: Whether they are nodes of a Cluster.
    """

    def __init__(
        self,
        primary: RedisNode,
        settings: NodeSettings,
        address_of: Callable[[str, int], RedisAddress],
        bound: Seconds,
        *,
        is_sharded: bool,
    ) -> None:
        self.patience = bound / _PARTS
        """Seconds that a replica, or a sample, may take."""
        self.primary = primary
        # One that hangs costs a single look so much; then it is left alone, each time for longer.
        self._settings = dataclasses.replace(
            settings,
            timeout=min(settings.timeout, self.patience),
            connect_timeout=min(settings.connect_timeout, self.patience),
        )
        self._address_of = address_of
        self._is_sharded = is_sharded
        self._now = settings.clock.now
        self._samples = Samples()
        self._due: Seconds = -1.0
        self._nodes: dict[Place, RedisNode] = {}
        self._chosen: Place | None = None
        self._behind: dict[Place, Seconds] = {}
        self._reached: Position | None = None
        self._forget()
        after_fork_in_child(self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()

    def provable(self) -> Seconds | None:
        """Return how new an answer can be proved to be at best; samples the primary now and then."""
        now = self._now()
        with self._lock:
            is_due = now >= self._due
            if is_due:
                self._due = now + self.patience
        # A primary that is known to be away is not waited for here: it will be asked for the value at once.
        if is_due and not self.primary.breaker.is_open:
            self._sample()
        newest = self._samples.newest
        return None if newest is None else newest.since

    def inquire(self, names: Sequence[bytes]) -> Inquiry | None:
        """Return an inquiry not yet sent; `None` if there is no replica to be asked."""
        place = self._choose()
        if place is None:
            return None
        # Its position before and after the values: what is read in between is at least as new as the former
        # and at most as new as the latter, and of the same history if both are.
        packed = POSITION + b"".join(pack((b"GET", name)) for name in names) + POSITION
        exchange = Exchange(self._node(place), packed, len(names) + 2, self._now, repeatable=True)
        return Inquiry(exchange, names, place, self._reached)

    def conclude(self, inquiry: Inquiry, replies: Sequence[Any]) -> Seconds | None:
        """Return how new the replies are proved to be; `None` if that is not known."""
        first, last = position_of(replies[0]), position_of(replies[-1])
        if first is None or last is None or not last.has(first):
            inquiry.exchange.report(TierUnavailableError("the replica does not follow a primary"))
            return None
        inquiry.exchange.report(None)
        proved = self._samples.proved(first)
        # No older than any answer that was taken before it was asked for: of another replica, or of this one
        # before it started anew.
        reached = inquiry.reached
        is_back = reached is not None and first.history == reached.history and not first.has(reached)
        if proved is None or is_back:
            self._leave_behind(inquiry.place)
            return None
        with self._lock:
            if self._reached is None or not self._reached.has(last):
                self._reached = last
        return proved

    def close(self) -> None:
        """Close all connections."""
        for node in list(self._nodes.values()):
            node.close()

    def _sample(self) -> None:
        since = self._now()
        try:
            (reply,) = self.primary.attempt_once(POSITION, 1, self.patience)
        except GreencacheError:
            return  # who asks the primary for the value will learn why
        sample = sample_of(reply, since)
        if sample is not None:
            self._samples.add(sample)
            self._leave_others(sample.replicas)

    def _choose(self) -> Place | None:
        newest = self._samples.newest
        if newest is None:
            return None
        fit = [place for place in newest.replicas if self._is_fit(place, newest.since)]
        chosen = self._chosen
        if chosen not in fit:
            # Processes spread over replicas. One that rests may be tried again only by who finds no other.
            sound = [place for place in fit if not self._node(place).breaker.is_open]
            chosen = random.choice(sound or fit) if fit else None  # noqa: S311 -- spreads load
            self._chosen = chosen
        return chosen

    def _is_fit(self, place: Place, since: Seconds) -> bool:
        # Whoever was found behind may have caught up by the next sample.
        return self._behind.get(place, -1.0) < since and self._node(place).breaker.next_probe_in <= 0

    def _leave_behind(self, place: Place) -> None:
        newest = self._samples.newest
        if newest is not None:
            self._behind[place] = newest.since
        self._chosen = None

    def _node(self, place: Place) -> RedisNode:
        node = self._nodes.get(place)
        if node is None:
            with self._lock:
                node = self._nodes.get(place)
                if node is None:
                    breaker = Breaker(1, max_reset_after=_MOST_REST, clock=self._settings.clock)
                    guide = _ReplicaGuide(place, is_sharded=self._is_sharded)
                    node = self._settings.node(self._address_of(*place), breaker, guide)
                    self._nodes[place] = node
        return node

    def _leave_others(self, places: Sequence[Place]) -> None:
        with self._lock:
            left = [self._nodes.pop(place) for place in list(self._nodes) if place not in places]
        for node in left:
            node.close()
