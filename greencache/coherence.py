"""What this process makes the cache forget: dropped from the deepest tier upward, and announced to others."""

import contextlib
import dataclasses
from collections.abc import Callable, Container, Mapping
from typing import Any

from greencache.bus.base import Bus, Message, MessageKind, NullBus
from greencache.entry import Entry
from greencache.errors import (
    EncodeError,
    InvalidationPending,
    NotReplicatedError,
    ServerReplyError,
    TierUnavailableError,
)
from greencache.events import Event, EventKind, NullRecorder, Recorder
from greencache.flight import FlightTable
from greencache.keys import Pattern
from greencache.stamps import NAMESPACE, StampTable
from greencache.strategies import Dropped, Strategy
from greencache.tiers.guarded import GuardedTier
from greencache.tiers.memory import MemoryTier
from greencache.tiers.pending import Pending
from greencache.tiers.stack import Stack
from greencache.typing import CacheTier, Key, Seconds
from greencache.waiters import Waiters

__all__ = ["Coherence"]

_EVERYTHING = Pattern("*")
_LONGEST_ACKNOWLEDGEMENT: Seconds = 1.0
"""WAIT makes the server ask its replicas at once: those that keep up answer within milliseconds."""


class Coherence:
    """Keeps tiers, flights and other processes in line with what was written or invalidated.

    Args:
        stack: The tiers.
        strategy: The order in which they are written and dropped.
        stamps: The current stamps.
        flights: The loads under way in this process.
        waiters: Who waits in this process for loads of others.
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
        waiters: Waiters,
        bus: Bus,
        recorder: Recorder,
    ) -> None:
        self._stack = stack
        self._strategy = strategy
        self._stamps = stamps
        self._flights = flights
        self._waiters = waiters
        self._bus = bus
        self._recorder = recorder
        self._is_alone = type(bus) is NullBus and type(recorder) is NullRecorder
        """Whether nobody is told of what this process does."""

    # -- what this process does ------------------------------------------------------------------------

    def put(self, entries: Mapping[Key, Entry], deepest: CacheTier | None, *, durable: bool = False) -> None:
        """Store entries and let others forget what they have under these keys."""
        keys = list(entries)
        try:
            outcome = self._strategy.put(self._stack, entries, deepest)
        except EncodeError:
            raise  # before anything was stored
        except BaseException:
            self._drop_unfinished(keys)
            raise
        self._finish(self._announce_keys(keys, outcome), durable=durable)

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

    def drop(self, keys: list[Key], *, durable: bool = False) -> int:
        """Remove keys everywhere and return how many entries there were."""
        return self.invalidate(keys, None, [], durable=durable)

    def invalidate(
        self, keys: list[Key], pattern: Pattern | None, tags: list[str], *, durable: bool = False
    ) -> int:
        """Forget keys, what matches a pattern, and what is under tags; return how many entries went.

        Raises:
            InvalidationPending: If a tier could not be reached, after all that could be done was done.
            NotReplicatedError: If it is to be durable, and no replica has acknowledged it.
        """
        outcomes = []
        if keys:
            outcomes.append(self._announce_keys(keys, self._strategy.drop(self._stack, keys)))
        if pattern is not None:
            outcomes.append(self._drop_matching(pattern))
        if tags:
            outcomes.append(self._restamp(tags, Dropped()))
        return self._finish(*outcomes, durable=durable)

    def forget_refreshed(self, keys: list[Key], patterns: list[Pattern]) -> None:
        """Forget keys that have other rows in a view by now, everywhere but in the view.

        Raises:
            InvalidationPending: If a tier could not be reached, after all that could be done was done.
        """
        outcomes = [self._drop_matching(pattern, is_refresh=True) for pattern in patterns]
        if keys:
            outcome = self._strategy.drop(self._stack, keys, is_refresh=True)
            outcomes.append(self._announce_keys(keys, outcome))
        self._finish(*outcomes)

    def drop_everything(self, *, durable: bool = False) -> None:
        """Forget the whole namespace, and nothing else."""
        outcome = Dropped()
        for tier in reversed(self._stack.shared):
            # PostgreSQL evicts nothing: what has no ttl would stay for ever under its outdated stamp.
            if tier.name is CacheTier.L4:
                outcome.note(tier, tier.drop_matching(_EVERYTHING))
        self._finish(self._restamp([NAMESPACE], outcome), durable=durable)

    def _drop_matching(self, pattern: Pattern, *, is_refresh: bool = False) -> Dropped:
        outcome = self._strategy.drop_matching(self._stack, pattern, is_refresh=is_refresh)
        self._flights.detach_where(pattern.matches)
        self._waiters.wake_all()
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
        # The drop has voided the lease of whoever was loading.
        self._waiters.wake(keys)
        if self._is_alone and not outcome.pending:
            return outcome
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

    def _finish(self, *outcomes: Dropped, durable: bool = False) -> int:
        """Return how many entries went; or say what is still to be done."""
        if not durable and not any(outcome.pending for outcome in outcomes):
            return sum(outcome.count for outcome in outcomes)
        # Where nothing waits any more, another thread has replayed it meanwhile.
        noted = [item for outcome in outcomes for item in outcome.pending.items()]
        pending = {name: waiting for name, waiting in noted if waiting}
        # Last, so that a replica has the announcement too.
        silent = self._silent(pending) if durable else ""
        if pending:
            self._recorder.record(Event(EventKind.INVALIDATION_PENDING, detail={"tiers": list(pending)}))
            raise InvalidationPending(
                f"done everywhere but in {', '.join(pending)}, out of reach; queued, and replayed before"
                f" it is read again"
                + (f"; and no replica of {silent} has acknowledged it" if silent else ""),
                pending,
            )
        if silent:
            raise NotReplicatedError(
                f"done everywhere, but no replica of {silent} has acknowledged it within"
                f" {_LONGEST_ACKNOWLEDGEMENT:g} s: a failover now could undo it. Look whether {silent} has a"
                " replica that follows, or do it again",
                (silent,),
            )
        return sum(outcome.count for outcome in outcomes)

    def _silent(self, pending: Container[str]) -> str:
        """Return the name of the authority if a failover could undo what was done there; else nothing.

        The tiers above it are a host's own, and forget what its log cannot prove.
        """
        authority = self._stack.authority
        if authority is None or authority.name.name in pending:
            return ""
        return "" if authority.await_replica(_LONGEST_ACKNOWLEDGEMENT) else authority.name.name

    def _host(self, outcome: Dropped) -> str:
        """Return the identity of this host's own tiers, if the sender has reached them all."""
        is_done = not any(tier.name.name in outcome.pending for tier in self._stack.ahead_of_authority)
        return self._stack.host_identity() if is_done else ""

    def announce_landed(self, keys: list[Key]) -> None:
        """Wake those who wait, here or in other processes, for keys that were filled or given up here."""
        # Here too: a reload in the background is no flight that could be joined.
        self._waiters.wake(keys)
        # Who is not told looks again by itself, a little later.
        with contextlib.suppress(TierUnavailableError, ServerReplyError):
            self._bus.publish(Message(MessageKind.LANDED, keys=tuple(keys)))

    def spread_replayed(self, replayed: CacheTier, pending: Pending) -> None:
        """Do in nearer tiers what a tier was told late, and announce it.

        Args:
            replayed: The tier. Before it was told, others may have read there what was dropped, and have
                brought it to nearer tiers.
            pending: What it was told.

        Raises:
            TierUnavailableError: If that is the authority, and it cannot be announced yet.
        """
        stamps = self._stamps.mint(pending.stamps)
        for tier in reversed(self._stack.shared):
            if tier.name < replayed:
                self._drop_pending(tier, pending, stamps if tier in self._stack.stamp_keepers else {})
        if self._stack.memory is not None:
            self._drop_pending(self._stack.memory, pending, {})
        if stamps:
            self._stamps.expect(stamps)
        self._flights.detach(pending.keys)
        patterns = [_EVERYTHING] if stamps else pending.patterns
        self._flights.detach_where(lambda key: any(pattern.matches(key) for pattern in patterns))
        # What was announced by others, each process of this host has heard of and makes up for by itself. If
        # they announced it to each other again, those that still replay would queue it anew, and so on.
        own = Pending(keys=pending.own.keys, patterns=pending.own.patterns, stamps=stamps)
        try:
            self._announce_replayed(own)
        except (TierUnavailableError, ServerReplyError):
            authority = self._stack.authority
            if authority is None or authority.name is replayed:
                raise
            # The tier itself has been told, and may be read: what is away is the authority.
            authority.queue(own)

    def _announce_replayed(self, own: Pending) -> None:
        if own.stamps:
            self._bus.publish(Message(MessageKind.STAMP, stamps=own.stamps))
        if own.keys:
            self._bus.publish(Message(MessageKind.DROP, keys=tuple(own.keys)))
        for pattern in own.patterns:
            self._bus.publish(Message(MessageKind.MATCH, pattern=pattern.text))

    @staticmethod
    def _drop_pending(tier: MemoryTier | GuardedTier, pending: Pending, stamps: Mapping[str, str]) -> None:
        if pending.keys:
            tier.drop_many(pending.keys)
        for pattern in pending.patterns:
            tier.drop_matching(pattern)
        if stamps and isinstance(tier, GuardedTier):
            tier.replace_stamps(stamps)
