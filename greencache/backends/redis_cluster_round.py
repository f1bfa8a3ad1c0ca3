"""One round of a Cluster: each part of some commands goes to its node, all nodes at the same time."""

import itertools
import random
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from greencache.backends.breaker import BreakerState
from greencache.backends.redis_cluster_map import ClusterMap
from greencache.backends.redis_errors import concerns_slot, explain_reply, is_unknown_script, redirect_of
from greencache.backends.redis_exchange import GRACE, Exchange
from greencache.backends.redis_node import RedisNode
from greencache.backends.redis_protocol import BATCH_BYTES, BATCH_COMMANDS, pack
from greencache.backends.redis_routing import Part
from greencache.backends.redis_settings import NodeSettings
from greencache.backends.redis_slots import Place
from greencache.backends.retry import MovingSlotError, TransientError
from greencache.errors import GreencacheError, TierUnavailableError
from greencache.typing import Seconds

__all__ = ["ClusterRound"]

_ASKING = pack(["ASKING"])

Batch: TypeAlias = tuple[bytes, list[Part]]


class ClusterRound:
    """Sends parts to their nodes and reads what these reply.

    Args:
        cluster: Knows the nodes.
        settings: How to talk to them.
        end: A reading of the clock at which to give up.
        repeatable: Whether to execute a command twice is as good as once.
        waits: Whether a command on several keys is worth waiting for until their slot has been moved.
    """

    def __init__(
        self, cluster: ClusterMap, settings: NodeSettings, end: Seconds, *, repeatable: bool, waits: bool
    ) -> None:
        self._map = cluster
        self._clock = settings.clock
        self._end = min(end, self._clock.now() + settings.timeout)
        self._deadline = end
        self._repeatable = repeatable
        self._waits = waits
        self._again: list[Part] = []
        self._failed: list[tuple[Place, Part]] = []

    def run(self, parts: Sequence[Part]) -> list[Part]:
        """Send all once, and return those to be sent at once again, elsewhere; what has failed says why."""
        groups = [(place, [*self._loads(place, group), *group]) for place, group in self._grouped(parts)]
        queues = [[(place, batch) for batch in _batches(group)] for place, group in groups]
        for wave in itertools.zip_longest(*queues):
            self._exchange([item for item in wave if item is not None])
        if self._failed:
            self._map.doubt()
        # Only who has been to the wrong node, or to a dead one, asks; all others are as quick as ever.
        if self._failed or self._again:
            self._map.refresh(self._deadline)
        for place, part in self._failed:
            if part.slot is not None and self._map.slots.owners[part.slot] != place:
                self._again.append(part)
            elif not isinstance(part.fault, TransientError) or self._is_given_up(place):
                part.finish(part.fault)  # to wait would not help
        return self._again

    def _is_given_up(self, place: Place) -> bool:
        # A probe asks once, and whoever opened the breaker has tried often enough. Else a caller in a few
        # would wait for a dead node again and again, instead of reading what the others have.
        return self._map.node(place).breaker.state is not BreakerState.CLOSED

    def _grouped(self, parts: Sequence[Part]) -> list[tuple[Place, list[Part]]]:
        groups: dict[Place, list[Part]] = {}
        for part in parts:
            part.fault = None
            place = part.asked_at or part.place or self._owner(part.slot)
            if place is None:
                self._map.doubt()
                self._map.refresh(self._deadline)
                place = self._owner(part.slot)
            if place is None:
                # Nobody promotes a node for a slot that no node has: to wait would not help.
                part.finish(TierUnavailableError(f"no node of the Redis Cluster owns slot {part.slot}"))
            else:
                groups.setdefault(place, []).append(part)
        return list(groups.items())

    def _loads(self, place: Place, group: Sequence[Part]) -> list[Part]:
        """Return what makes a node know the scripts of its parts, which then need no second round."""
        known = self._map.node(place).scripts
        wanted = {part.script for part in group if part.script is not None}
        return [Part.loading(script, place) for script in wanted if script.sha not in known]

    def _owner(self, slot: int | None) -> Place | None:
        slots = self._map.slots
        if slot is not None:
            return slots.owners[slot]
        sound = [place for place in slots.places if not self._map.node(place).breaker.is_open]
        return random.choice(sound or slots.places) if slots.places else None  # noqa: S311 -- spreads load

    def _exchange(self, wave: Sequence[tuple[Place, Batch]]) -> None:
        exchanges: list[tuple[Exchange, Place, list[Part]]] = []
        sent: list[tuple[Exchange, Place, list[Part]]] = []
        try:
            for place, (packed, batch) in wave:
                count = sum(1 if part.asked_at is None else 2 for part in batch)
                node, now, repeatable = self._map.node(place), self._clock.now, self._repeatable
                item = (Exchange(node, packed, count, now, repeatable=repeatable), place, batch)
                exchanges.append(item)
                if self._send(*item):
                    sent.append(item)
            for item in sent:
                self._receive(*item)
        finally:
            for exchange, _, _ in exchanges:
                exchange.close()

    def _send(self, exchange: Exchange, place: Place, batch: list[Part]) -> bool:
        try:
            exchange.send(self._end)
        except TierUnavailableError as error:
            self._fail(place, batch, error)
            return False
        return True

    def _receive(self, exchange: Exchange, place: Place, batch: list[Part]) -> None:
        try:
            replies = iter(exchange.receive(max(self._end, self._clock.now() + GRACE)))
        except TierUnavailableError as error:
            self._fail(place, batch, error)
            return
        outage: GreencacheError | None = None
        for part in batch:
            if part.asked_at is not None:
                next(replies)  # that to ASKING
                part.asked_at = None
            outage = self._take(exchange.node, part, next(replies)) or outage
        exchange.report(outage)

    def _fail(self, place: Place, batch: list[Part], error: TierUnavailableError) -> None:
        may_have_run = isinstance(error, TransientError) and error.may_have_run
        for part in batch:
            part.asked_at = None
            if self._repeatable or not may_have_run:
                part.fault = error
                self._failed.append((place, part))
            else:
                part.finish(error)

    def _take(self, node: RedisNode, part: Part, reply: Any) -> GreencacheError | None:
        """Take a reply, and return why the whole node is not able to answer, if it says that."""
        if not isinstance(reply, Exception):
            if part.script is not None:
                node.scripts.add(part.script.sha)
            part.finish(reply)
            return None
        redirect = redirect_of(reply)
        if redirect is not None:
            kind, slot, host, port = redirect
            place = (host or node.address.host, port)
            if kind == "ASK":
                part.asked_at = place
            else:
                self._map.move(slot, place)
            self._again.append(part)
            return None
        # An error reply: this very command has not run, so to send it again repeats nothing.
        fault = explain_reply(node.address, reply, may_have_run=False)
        if part.script is not None and is_unknown_script(fault):
            node.scripts.discard(part.script.sha)
            part.note_unknown()
            self._again.append(part)
            return None
        is_moving = isinstance(fault, MovingSlotError)
        if is_moving and (pieces := part.divide()):
            self._again += pieces
        elif isinstance(fault, TransientError) and (self._waits or not is_moving):
            part.fault = fault
            self._failed.append(((node.address.host, node.address.port), part))
        else:
            part.finish(fault)
        is_outage = isinstance(fault, TierUnavailableError) and fault.is_outage
        return fault if is_outage and not concerns_slot(reply) else None


def _batches(parts: Sequence[Part]) -> Iterator[Batch]:
    """Yield packed commands in batches that no node chokes on, with what they are."""
    packed: list[bytes] = []
    batch: list[Part] = []
    size = 0
    for part in parts:
        each = pack(part.command) if part.asked_at is None else _ASKING + pack(part.command)
        if batch and (len(batch) == BATCH_COMMANDS or size + len(each) > BATCH_BYTES):
            yield b"".join(packed), batch
            packed, batch, size = [], [], 0
        packed.append(each)
        batch.append(part)
        size += len(each)
    if batch:
        yield b"".join(packed), batch
