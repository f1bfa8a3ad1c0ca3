"""What must be forgotten: dropped here from the deepest tier upward, and announced to all others."""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from greencache.bus.base import Bus, Message, MessageKind
from greencache.entry import Entry
from greencache.errors import EncodeError, InvalidationPending, ServerReplyError, TierUnavailableError
from greencache.events import Event, EventKind, Recorder
from greencache.flight import FlightTable
from greencache.keys import Pattern
from greencache.stamps import NAMESPACE, StampTable
from greencache.strategies import Dropped, Strategy
from greencache.tiers.guarded import GuardedTier
from greencache.tiers.pending import Pending
from greencache.tiers.stack import Stack
from greencache.typing import CacheTier, Key

__all__ = ["Coherence"]

_EVERYTHING = Pattern("*")


class Coherence:
    """Keeps tiers, flights and other processes in line with what was written or invalidated.

    Args:
        stack: The tiers.
        strategy: The order in which they are written and dropped.
        stamps: The current stamps.
        flights: The loads under way in this process.
        bus: Tells other processes.
        recorder: Is told of invalidations.
    """

    def __init__(
        self,
        stack: Stack,
        *,
        strategy: Strategy,
        stamps: StampTable,
        flights: FlightTable,
        bus: Bus,
        recorder: Recorder,
    ) -> None:
        self._stack = stack
        self._strategy = strategy
        self._stamps = stamps
        self._flights = flights
        self._bus = bus
        self._recorder = recorder

    # -- what this process does ------------------------------------------------------------------------

    def put(self, entries: Mapping[Key, Entry], deepest: CacheTier | None) -> None:
        """Store entries and let others forget what they have under these keys."""
        keys = list(entries)
        try:
            outcome = self._strategy.put(self._stack, entries, deepest)
        except EncodeError:
            raise  # before anything was stored
        except BaseException:
            self._drop_unfinished(keys)
            raise
        self._finish(self._announce_keys(keys, outcome))

    def write(self, key: Key, make_entry: Callable[[], Entry], writer: Callable[[], Any]) -> None:
        """Write the source as the strategy says, and let others forget what they have."""
        is_written = False

        def write() -> None:
            nonlocal is_written
            writer()
            is_written = True

        try:
            outcome = self._strategy.write(self._stack, key, make_entry, write)
        except BaseException:
            if is_written:
                self._drop_unfinished([key])
            raise
        self._finish(self._announce_keys([key], outcome))

    def _drop_unfinished(self, keys: list[Key]) -> None:
        """Leave nothing of a write that ended half-way: what some tiers have is outdated in others."""
        # What could not be dropped is queued; the caller gets the error that ended the write.
        with contextlib.suppress(InvalidationPending):
            self.drop(keys)

    def drop(self, keys: list[Key]) -> int:
        """Remove keys everywhere and return how many entries there were."""
        return self.invalidate(keys, None, [])

    def invalidate(self, keys: list[Key], pattern: Pattern | None, tags: list[str]) -> int:
        """Forget keys, what matches a pattern, and what is under tags; return how many entries went.

        Raises:
            InvalidationPending: If a tier could not be reached, after all that could be done was done.
        """
        outcomes = []
        if keys:
            outcomes.append(self._announce_keys(keys, self._strategy.drop(self._stack, keys)))
        if pattern is not None:
            outcomes.append(self._drop_matching(pattern))
        if tags:
            outcomes.append(self._restamp(tags, Dropped()))
        return self._finish(*outcomes)

    def drop_everything(self) -> None:
        """Forget the whole namespace, and nothing else."""
        outcome = Dropped()
        for tier in reversed(self._stack.shared):
            # PostgreSQL evicts nothing: what has no ttl would stay for ever under its outdated stamp.
            if tier.name is CacheTier.L4:
                outcome.note(tier, tier.drop_matching(_EVERYTHING))
        self._finish(self._restamp([NAMESPACE], outcome))

    def _drop_matching(self, pattern: Pattern) -> Dropped:
        outcome = self._strategy.drop_matching(self._stack, pattern)
        self._flights.detach_where(pattern.matches)
        message = Message(MessageKind.MATCH, pattern=pattern.text)
        return self._announce(message, Pending(patterns=[pattern]), outcome)

    def _restamp(self, tags: list[str], outcome: Dropped) -> Dropped:
        # Whoever reads the old stamp at the authority began before this, and what it stores under the old
        # stamp is outdated as soon as the new one is known. From the deepest keeper upward, since the
        # authority may take what it has lost from the one below.
        stamps = self._stamps.mint(tags)
        for keeper in reversed(self._stack.stamp_keepers):
            outcome.note(keeper, keeper.replace_stamps(stamps))
        self._stamps.expect(stamps)
        # Any load under way may be for something under these tags.
        self._flights.detach_where(lambda _: True)
        return self._announce(Message(MessageKind.STAMP, stamps=stamps), Pending(stamps=stamps), outcome)

    def _announce_keys(self, keys: list[Key], outcome: Dropped) -> Dropped:
        # Last: a flight that began before the deepest drop may carry an old value, and whoever asks after
        # this call has returned must not join it.
        self._flights.detach(keys)
        return self._announce(Message(MessageKind.DROP, keys=tuple(keys)), Pending(keys=keys), outcome)

    def _announce(self, message: Message, pending: Pending, outcome: Dropped) -> Dropped:
        self._recorder.record(Event(EventKind.INVALIDATED, detail={"what": pending.describe()[:10]}))
        authority = self._stack.authority
        # What waits for the authority is announced when it is replayed.
        if authority is None or authority.name.name not in outcome.pending:
            try:
                self._bus.publish(dataclasses.replace(message, host=self._host(outcome)))
            except (TierUnavailableError, ServerReplyError):
                if authority is None:
                    raise
                outcome.pending[authority.name.name] = authority.queue(pending)
        return outcome

    def _finish(self, *outcomes: Dropped) -> int:
        """Return how many entries went; or say what is still to be done."""
        pending = {name: waiting for outcome in outcomes for name, waiting in outcome.pending.items()}
        if pending:
            self._recorder.record(Event(EventKind.INVALIDATION_PENDING, detail={"tiers": list(pending)}))
            raise InvalidationPending(
                f"done everywhere but in {', '.join(pending)}, out of reach; queued, and replayed before"
                f" it is read again",
                pending,
            )
        return sum(outcome.count for outcome in outcomes)

    def _host(self, outcome: Dropped | None = None) -> str:
        """Return the identity of this host's own tiers, if the sender has reached them all."""
        tiers = self._stack.ahead_of_authority
        names = [tier.identity() for tier in tiers]
        is_done = outcome is None or not any(tier.name.name in outcome.pending for tier in tiers)
        return "+".join(names) if is_done and all(names) else ""

    def announce_replayed(self, pending: Pending) -> None:
        """Announce what had waited for a tier that is back.

        Raises:
            TierUnavailableError: If it cannot be announced yet.
        """
        if pending.stamps:
            stamps = self._stamps.mint(pending.stamps)
            self._stamps.expect(stamps)
            self._bus.publish(Message(MessageKind.STAMP, stamps=stamps))
        if pending.keys:
            self._bus.publish(Message(MessageKind.DROP, keys=tuple(pending.keys)))
        for pattern in pending.patterns:
            self._bus.publish(Message(MessageKind.MATCH, pattern=pattern.text))

    # -- what others have done -------------------------------------------------------------------------

    def receive(self, message: Message) -> None:
        """Forget what another process says must be forgotten: first this host's tiers, then L1."""
        if message.kind is MessageKind.DROP:
            self._receive_drop(list(message.keys), self._host_tiers(message))
        elif message.kind is MessageKind.MATCH:
            self._receive_match(Pattern(message.pattern), self._host_tiers(message))
        elif message.kind is MessageKind.STAMP:
            self._stamps.expect(message.stamps)
            self._flights.detach_where(lambda _: True)
        elif message.kind is MessageKind.JOINED:
            self._receive_joined()
        else:
            self._receive_match(_EVERYTHING, self._stack.ahead_of_authority)
            self._receive_joined()

    def _host_tiers(self, message: Message) -> tuple[GuardedTier, ...]:
        """Return this host's tiers that are still to be told: none if the sender shares and has told them."""
        is_told = message.host and message.host == self._host()
        return () if is_told else self._stack.ahead_of_authority

    def _receive_drop(self, keys: list[Key], tiers: tuple[GuardedTier, ...]) -> None:
        for tier in reversed(tiers):
            tier.drop_many(keys)
        if self._stack.memory is not None:
            self._stack.memory.drop_many(keys)
        self._flights.detach(keys)

    def _receive_match(self, pattern: Pattern, tiers: tuple[GuardedTier, ...]) -> None:
        for tier in reversed(tiers):
            tier.drop_matching(pattern)
        if self._stack.memory is not None:
            self._stack.memory.drop_matching(pattern)
        self._flights.detach_where(pattern.matches)

    def _receive_joined(self) -> None:
        self._stamps.doubt()
        if self._stack.memory is not None:
            self._stack.memory.clear()
        self._flights.detach_where(lambda _: True)
