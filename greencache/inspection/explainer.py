"""Gathers what is known of one key."""

import math
import threading
import time
from collections.abc import Iterator

from greencache.bus.base import Bus, NullBus
from greencache.flight import FlightTable
from greencache.inspection.explanation import Explanation
from greencache.inspection.findings import BusFinding, FlightFinding, ReadFinding, TierFinding
from greencache.inspection.stamps import find_current
from greencache.inspection.tiers import Verdicts, entry_finding, examine
from greencache.journal import Journal
from greencache.stamps import NAMESPACE, StampTable
from greencache.tiers.stack import Stack
from greencache.tiers.tokens import new_batch
from greencache.typing import Key

__all__ = ["Explainer"]


class Explainer:
    """Looks at everything that decides how a key is read, and changes none of it.

    No entry is promoted, marked or counted as hit, no lease taken, no stamp made, no waiting drop replayed,
    no listener begun and no table created. A tier out of reach is a finding.

    Args:
        namespace: The namespace of the cache.
        stack: The tiers.
        stamps: The current stamps.
        bus: How other processes are heard.
        flights: The loads under way in this process.
        journal: What the last reads did.
    """

    def __init__(
        self,
        namespace: str,
        *,
        stack: Stack,
        stamps: StampTable,
        bus: Bus,
        flights: FlightTable,
        journal: Journal,
    ) -> None:
        self._namespace = namespace
        self._stack = stack
        self._stamps = stamps
        self._bus = bus
        self._flights = flights
        self._journal = journal

    def explain(self, key: Key) -> Explanation:
        """Return what is known of a key."""
        clock = self._stack.clock
        looks = [examine(tier, key) for tier in self._stack.tiers]
        tags = [tag for look in looks if look.entry is not None for tag, _ in look.entry.stamps]
        current = find_current(self._stamps, [NAMESPACE, *tags])
        verdicts = Verdicts(self._stack, looks, clock.now())
        tiers: list[TierFinding] = []
        for look in looks:
            entry = None if look.entry is None else entry_finding(look, look.entry, current, clock)
            would_answer, verdict = verdicts.of(look, entry)
            tiers.append(look.finding(key, tags, entry=entry, would_answer=would_answer, verdict=verdict))
        return Explanation(
            key=key,
            namespace=self._namespace,
            # As leases say who holds them.
            process=new_batch().rpartition(":")[0],
            wall=clock.wall(),
            answered_by=next((each.tier for each in tiers if each.would_answer), None),
            tiers=tuple(tiers),
            stamps_from=current.source,
            bus=self._bus_finding(),
            flight=self._flight_finding(key),
            reads=tuple(self._reads(key)),
        )

    def _bus_finding(self) -> BusFinding:
        until = self._bus.trusted_until
        return BusFinding(
            kind="none" if isinstance(self._bus, NullBus) else _kind(self._bus),
            is_joined=until > -math.inf,
            trusted_for=None if math.isinf(until) else until - self._stack.clock.now(),
            applied=self._bus.applied(),
        )

    def _flight_finding(self, key: Key) -> FlightFinding | None:
        flight = self._flights.under_way(key)
        if flight is None:
            return None
        return FlightFinding(since=time.monotonic() - flight.began, leader=_thread_name(flight.owner))

    def _reads(self, key: Key) -> Iterator[ReadFinding]:
        now = self._stack.clock.now()
        for record in self._journal.recent(key):
            yield ReadFinding(
                ago=now - record.at,
                wall=record.wall,
                outcome=record.outcome,
                tiers=record.tiers,
                seconds=record.seconds,
                detail=record.detail,
            )


def _kind(bus: Bus) -> str:
    return type(bus).__name__.removesuffix("Bus").lower()


def _thread_name(number: int) -> str:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return names.get(number, f"thread or greenlet {number}")
