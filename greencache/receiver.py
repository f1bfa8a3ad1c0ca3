"""What must be forgotten here because other processes say so."""

from greencache.bus.base import Message, MessageKind
from greencache.flight import FlightTable
from greencache.keys import Pattern
from greencache.outbox.base import Change
from greencache.stamps import NAMESPACE, StampTable
from greencache.tiers.guarded import GuardedTier
from greencache.tiers.stack import Stack
from greencache.typing import Key
from greencache.waiters import Waiters

__all__ = ["Receiver"]

_EVERYTHING = Pattern("*")


class Receiver:
    """Applies announcements of other processes: first to this host's tiers, then to L1.

    Args:
        stack: The tiers.
        stamps: The current stamps.
        flights: The loads under way in this process.
        waiters: Who waits in this process for loads of others.
    """

    def __init__(self, stack: Stack, stamps: StampTable, flights: FlightTable, waiters: Waiters) -> None:
        self._stack = stack
        self._stamps = stamps
        self._flights = flights
        self._waiters = waiters

    def receive(self, message: Message) -> None:
        """Forget what another process says must be forgotten, or look again at what it says has landed."""
        self._distrust_copies(message)
        if message.kind is MessageKind.DROP:
            self._receive_drop(list(message.keys), self._host_tiers(message))
        elif message.kind is MessageKind.MATCH:
            self._receive_match(Pattern(message.pattern), self._host_tiers(message))
        elif message.kind is MessageKind.STAMP:
            self._stamps.expect(message.stamps)
            self._flights.detach_where(lambda _: True)
        elif message.kind is MessageKind.LANDED:
            self._waiters.wake(message.keys)
        elif message.kind is MessageKind.JOINED:
            self._receive_joined()
        else:
            self._receive_match(_EVERYTHING, self._stack.ahead_of_authority)
            self._receive_joined()

    def forget(self, change: Change) -> None:
        """Forget here what another process is telling all others to forget, without waiting to hear of it."""
        if change.keys:
            self.receive(Message(MessageKind.DROP, keys=change.keys))
        for pattern in change.patterns:
            self.receive(Message(MessageKind.MATCH, pattern=pattern))
        tags = (*change.tags, NAMESPACE) if change.is_everything else change.tags
        if tags:
            # Which stamps are the new ones, the authority is asked when that is to be known.
            self.receive(Message(MessageKind.STAMP, stamps=self._stamps.mint(tags)))

    def _distrust_copies(self, message: Message) -> None:
        # First of all: who takes a lease in L1 when this is done gets nothing older to fill it with.
        if message.kind is MessageKind.STAMP:
            return  # an entry tells by its own stamps that it is older
        is_named = message.kind in (MessageKind.DROP, MessageKind.LANDED)
        for tier in self._stack.shared:
            tier.distrust_copies(message.keys if is_named else None)

    def _host_tiers(self, message: Message) -> tuple[GuardedTier, ...]:
        """Return this host's tiers that are still to be told: none if the sender shares and has told them."""
        is_told = message.host and message.host == self._stack.host_identity()
        return () if is_told else self._stack.ahead_of_authority

    def _receive_drop(self, keys: list[Key], tiers: tuple[GuardedTier, ...]) -> None:
        for tier in reversed(tiers):
            tier.drop_many(keys, is_heard=True)
        if self._stack.memory is not None:
            self._stack.memory.drop_many(keys)
        self._flights.detach(keys)
        # The drop has voided the lease of whoever was loading.
        self._waiters.wake(keys)

    def _receive_match(self, pattern: Pattern, tiers: tuple[GuardedTier, ...]) -> None:
        for tier in reversed(tiers):
            tier.drop_matching(pattern, is_heard=True)
        if self._stack.memory is not None:
            self._stack.memory.drop_matching(pattern)
        self._flights.detach_where(pattern.matches)
        self._waiters.wake_all()

    def _receive_joined(self) -> None:
        self._stamps.doubt()
        if self._stack.memory is not None:
            self._stack.memory.clear()
        self._flights.detach_where(lambda _: True)
        self._waiters.wake_all()
