"""The nodes of a Cluster, and which of them owns what."""

import random
import threading
from collections.abc import Callable

from greencache.backends.breaker import Breaker
from greencache.backends.redis_address import RedisAddress
from greencache.backends.redis_connection import GuardedConnection
from greencache.backends.redis_deployment import Deployment
from greencache.backends.redis_errors import FOREIGN_ERRORS
from greencache.backends.redis_failures import Failures
from greencache.backends.redis_gate import QuestionGate
from greencache.backends.redis_health import parse_info
from greencache.backends.redis_node import RedisNode
from greencache.backends.redis_protocol import pack
from greencache.backends.redis_settings import NodeSettings
from greencache.backends.redis_slots import Place, SlotMap
from greencache.backends.redis_watch import OnSuccessor, OnUnknown, ServerWatch
from greencache.backends.retry import TransientError
from greencache.forks import after_fork_in_child
from greencache.typing import Seconds

__all__ = ["ClusterMap"]

_QUESTION = pack(["CLUSTER", "INFO"]) + pack(["CLUSTER", "SLOTS"])


class _ClusterWatch(ServerWatch):
    """Notices another server behind a node's address, and another node as the owner of a slot."""

    def __init__(self) -> None:
        super().__init__(lambda: None)
        self._nodes: list[RedisNode] = []

    def subscribe(self, on_successor: OnSuccessor, on_unknown: OnUnknown) -> None:
        super().subscribe(on_successor, on_unknown)
        if len(self._subscribers) == 1:
            for node in self._nodes:
                self._listen_to(node)

    def add(self, node: RedisNode) -> None:
        """Watch one node more, before it is first used."""
        self._nodes.append(node)
        if self._subscribers:
            self._listen_to(node)

    def remove(self, node: RedisNode) -> None:
        """Forget a node."""
        self._nodes.remove(node)

    def _listen_to(self, node: RedisNode) -> None:
        node.watch.subscribe(self.announce, self._tell_unknown)


class _NodeGuide:
    """A node of a Cluster does not move; but what it failed to do may be another one's task by now."""

    def __init__(self, place: Place, doubt: Callable[[], None]) -> None:
        self._place = place
        self.doubt = doubt

    def locate(self, _: Seconds) -> Place:
        return self._place

    def require_primary(self, connection: GuardedConnection, deadline: Seconds) -> None:
        """A replica says MOVED to whatever concerns a key."""


class ClusterMap:
    """Knows the owner of each slot; asks nodes for it at first and when in doubt, once per second at most.

    Args:
        deployment: Where to begin.
        settings: How to talk to a node.
        breaker: Those of the nodes are made like it, one each, so that a dead node shuts off no other.
    """

    def __init__(self, deployment: Deployment, settings: NodeSettings, breaker: Breaker) -> None:
        self.watch = _ClusterWatch()
        self.slots = SlotMap.empty()
        self._deployment = deployment
        self._settings = settings
        self._breaker = breaker
        self._clock = settings.clock
        self._gate = QuestionGate(settings.clock)
        self._nodes: dict[Place, RedisNode] = {}
        self._epoch = -1
        self._is_doubtful = True
        self._failures = Failures()
        self._forget()
        after_fork_in_child(self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()

    @property
    def questions(self) -> int:
        """How often nodes were asked."""
        return self._gate.rounds

    def nodes(self) -> list[RedisNode]:
        """Return the primaries."""
        return [self.node(place) for place in self.slots.places]

    def node(self, place: Place) -> RedisNode:
        """Return the node at a place."""
        node = self._nodes.get(place)
        if node is None:
            with self._lock:
                node = self._nodes.get(place)
                if node is None:
                    address = self._deployment.address_of(*place)
                    guide = _NodeGuide(place, self.doubt)
                    node = self._settings.node(address, self._breaker.sibling(), guide)
                    self.watch.add(node)
                    self._nodes[place] = node
        return node

    def doubt(self) -> None:
        """Ask again as soon as that may be done."""
        self._is_doubtful = True

    def refresh(self, deadline: Seconds) -> None:
        """Learn of changes if there may be any, or wait for another thread that does; at first only.

        Args:
            deadline: A reading of the clock by which it must be done.

        Raises:
            TransientError: Nothing is known yet, and nobody could say anything.
            TierUnavailableError: The same, and to ask again would not help.
        """
        if not self._is_doubtful and self.slots.places:
            return
        self._gate.ask_or_wait(
            lambda: self._refresh(deadline), deadline, is_known=lambda: bool(self.slots.places)
        )
        if not self.slots.places:
            self._failures.raise_if_lasting()
            raise TransientError(
                f"no node of the Redis Cluster {self._label} says who owns what: {self._failures}",
                may_have_run=False,
            )

    def move(self, slot: int, place: Place) -> None:
        """Note that a node has said that another one owns a slot."""
        self.doubt()
        former = self.slots.owners[slot]
        if former == place:
            return
        if former is None or place in self.slots.places:
            self._change(lambda: self.slots.moved(slot, place))
        else:
            # One that owned nothing: a replica that was promoted has all slots of its primary. If it was a
            # new node instead, these say so one by one, or the next refresh does.
            self._change(lambda: self.slots.succeeded(former, place))

    def _refresh(self, deadline: Seconds) -> bool:
        self._is_doubtful = False
        try:
            return self._ask(self._gate.end_of_round(deadline))
        except BaseException:
            self._is_doubtful = True
            raise

    @property
    def _label(self) -> str:
        return ",".join(seed.label for seed in self._deployment.seeds)

    def _ask(self, end: Seconds) -> bool:
        """Ask nodes until one knows as much as was known before, and return whether any answered."""
        best: tuple[int, SlotMap] | None = None
        failures = Failures()
        for address in self._whom_to_ask():
            try:
                epoch, slots = self._ask_one(address, min(end, self._clock.now() + self._gate.patience))
            except FOREIGN_ERRORS as error:
                failures.add(address, error)
                continue
            if slots.places and (best is None or epoch > best[0]):
                best = epoch, slots
            if best is not None and best[0] >= self._epoch:
                break
            failures.add_answer(address, "it knows of no slots, or less than was known before")
        self._failures = failures
        if best is None:
            self.doubt()
            return False
        self._epoch, slots = best
        if slots.owners != self.slots.owners:
            self._change(lambda: slots)
        return True

    def _whom_to_ask(self) -> list[RedisAddress]:
        """Return nodes that answer first, others of them last, and each once."""
        nodes = self.nodes()
        random.shuffle(nodes)
        nodes.sort(key=lambda node: bool(node.breaker.reason))
        addresses = [node.address for node in nodes]
        known = {(address.host, address.port) for address in addresses}
        return addresses + [seed for seed in self._deployment.seeds if (seed.host, seed.port) not in known]

    def _ask_one(self, address: RedisAddress, end: Seconds) -> tuple[int, SlotMap]:
        connection = self._settings.connection(address)
        try:
            info, reply = connection.exchange(_QUESTION, 2, end)
        finally:
            connection.abandon()
        for each in (info, reply):
            if isinstance(each, Exception):
                raise each
        return _epoch(info), SlotMap.from_reply(reply, address.host)

    def _change(self, make: Callable[[], SlotMap]) -> None:
        """Use another map, after all who must know have been told that somebody else owns slots now.

        That one may lack what was written last, as a promoted replica does. Who is told queues what was
        dropped lately, so nobody reads from the new owner before it is dropped there too.
        """

        def change() -> None:
            with self._lock:
                self.slots = make()

        if self.slots.places and make().has_successor_of(self.slots):
            self.watch.announce(f"another owner of slots, {len(self.slots.places)} primaries", change)
        else:
            change()
        self._leave_others()

    def _leave_others(self) -> None:
        """Use nodes no more that own nothing: former primaries, whose silence is waited for by nobody."""
        with self._lock:
            places = set(self.slots.places)
            left = [self._nodes.pop(place) for place in list(self._nodes) if place not in places]
        for node in left:
            self.watch.remove(node)
            node.leave()

    def close(self) -> None:
        """Close all connections."""
        for node in list(self._nodes.values()):
            node.close()


def _epoch(info: bytes) -> int:
    return int(parse_info(info).get("cluster_current_epoch", 0))
