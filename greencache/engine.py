"""The parts of one cache, put together."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from greencache.bus.base import Bus, NullBus
from greencache.changes import ChangeApplier
from greencache.clock import Clock, SystemClock
from greencache.coherence import Coherence
from greencache.entry import Entry, present
from greencache.errors import ConfigurationError
from greencache.events import NullRecorder, Recorder
from greencache.health import HealthOptions, HealthReport, HealthWatch, count, examine, refuse_unless_up
from greencache.isolation import keeper_of
from greencache.journal import Journal
from greencache.keys import Pattern, check_namespace
from greencache.lineage import lineage_of
from greencache.loading import Look, Witness, assemble, look_in_memory
from greencache.options import EntryOptions, check_duration
from greencache.outbox.base import NullOutbox, OutboxFollower
from greencache.receiver import Receiver
from greencache.stamps import NAMESPACE, StampTable
from greencache.stats import CacheStats, TierCounters
from greencache.strategies import CacheAside, Strategy
from greencache.tiers.base import Landing, Tier
from greencache.tiers.guarded import GuardedTier
from greencache.tiers.installer import Installer
from greencache.tiers.memory import MemoryTier
from greencache.tiers.pending import Pending
from greencache.tiers.stack import Stack, sorted_tiers
from greencache.typing import BatchLoader, Key, Loader, Seconds, Writer
from greencache.upkeep import Upkeep

__all__ = ["Engine"]

V = TypeVar("V")

_LONGEST_JOIN: Seconds = 2.0


class Engine:
    """One cache behind its verbs; takes checked keys and merged options.

    Args:
        tiers, namespace, strategy, bus, outbox, isolation, max_staleness, patience, max_concurrent_loads,
            background_scope, failover_window, health, recorder, clock: As of `CacheManager`.
        witness: Knows what loaders have read too early in a database.

    Raises:
        ConfigurationError: If the parts do not fit together.
    """

    def __init__(
        self,
        tiers: Sequence[Tier] | None,
        *,
        namespace: str,
        strategy: Strategy | None,
        bus: Bus | None,
        outbox: OutboxFollower | None,
        witness: Witness | None,
        isolation: str,
        max_staleness: Seconds | None,
        patience: Seconds,
        max_concurrent_loads: int | None,
        background_scope: Callable[[], AbstractContextManager[object]] | None,
        failover_window: Seconds,
        health: HealthOptions | None,
        recorder: Recorder | None,
        clock: Clock | None,
    ) -> None:
        self.namespace = check_namespace(namespace)
        chosen = CacheAside() if strategy is None else strategy
        if not isinstance(chosen, Strategy):
            raise ConfigurationError(f"strategy must be a Strategy, such as WriteThrough(), got {strategy!r}")
        check_duration("patience", patience)
        if max_staleness is not None:
            check_duration("max_staleness", max_staleness)
        self._failover_window = check_duration("failover_window", failover_window)
        self.clock = clock or SystemClock()
        self.bus = bus or NullBus()
        self._outbox = outbox or NullOutbox()
        self.recorder = recorder or NullRecorder()
        self.journal = Journal(self.clock)
        self._keeper = keeper_of(isolation)
        memory, shared = sorted_tiers([MemoryTier(clock=self.clock)] if tiers is None else tiers)
        self.stamps = StampTable(
            bus,
            self.clock,
            max_age=math.inf if max_staleness is None else max_staleness,
            on_changed=self._on_stamps_changed,
        )
        guarded = [self._guard(tier) for tier in shared]
        is_deaf, serves = bool(shared) and bus is None, chosen.serve_unproved
        self.stack = Stack(memory, guarded, self.clock, self.bus, is_deaf=is_deaf, serves_unproved=serves)
        self.stamps.keep_at(self.stack.stamp_keepers)
        self._installer = Installer(self.stack.shared, self.recorder)
        # The nearest of a host's own tiers speaks for all: they are brought forward together.
        self._host = next(iter(self.stack.ahead_of_authority), None)
        self.index: Mapping[Key, Entry] = {} if memory is None else memory.index
        self.peek = self.index.get
        self.memory_counters = TierCounters() if memory is None else memory.counters
        self.reader, self.entries = assemble(
            self.stack,
            strategy=chosen,
            stamps=self.stamps,
            recorder=self.recorder,
            journal=self.journal,
            patience=patience,
            max_loads=max_concurrent_loads,
            scope=background_scope,
            keeper=self._keeper,
            witness=witness,
        )
        self.flights = self.reader.flights
        self._coherence = Coherence(
            self.stack,
            strategy=chosen,
            stamps=self.stamps,
            flights=self.flights,
            waiters=self.reader.leader.waiters,
            bus=self.bus,
            recorder=self.recorder,
        )
        # A cache made by hand has no thread that it did not ask for.
        options = health or HealthOptions(interval=0)
        self.watch = HealthWatch(self.stack, namespace, options, clock=self.clock, recorder=self.recorder)
        self.changes = ChangeApplier(self.stack, self._coherence)
        self._upkeep = Upkeep(self.stack.chores, clock=self.clock, recorder=self.recorder)
        for each in self.stack.shared:
            if isinstance(each.tier, Landing):
                each.tier.on_landed = self._coherence.announce_landed
        self.receiver = Receiver(self.stack, self.stamps, self.flights, self.reader.leader.waiters)

    # -- reading ---------------------------------------------------------------------------------------

    def find(self, keys: list[Key]) -> dict[Key, Entry]:
        """Return what some tier has of the keys."""
        look = self.look_in_memory(keys)
        if not look.found:
            return present(self.find_below(keys, look))
        missing = [key for key in keys if key not in look.found]
        return present({**look.found, **self.find_below(missing, look)} if missing else look.found)

    def find_below(self, keys: list[Key], look: Look) -> dict[Key, Entry]:
        """Return what tiers below L1 have of keys; those that are known not to exist included."""
        if not self.stack.shared:
            return {}
        self.start()
        return self.reader.leader.find(keys, look)

    def load(self, key: Key, loader: Loader[V], options: EntryOptions) -> V:
        """Return the value of a key, found or loaded."""
        loaded: list[V] = []

        def load(_: list[Key]) -> dict[Key, V]:
            loaded.append(loader())
            return {key: loaded[-1]}

        # A loader of many may have left out this key, which is remembered; this one is asked all the same.
        entry = self.load_many([key], load, options, takes_absent=False).get(key)
        return loaded[-1] if entry is None else entry.value

    def load_many(
        self, keys: list[Key], loader: BatchLoader[Any], options: EntryOptions, *, takes_absent: bool = True
    ) -> dict[Key, Entry]:
        """Return the entries of keys, found or loaded; those that are due are reloaded in the background."""
        found = dict(self.look_in_memory(keys, takes_absent=takes_absent).found)
        missing = [key for key in keys if key not in found]
        if missing:
            self.start()
            found |= self.reader.load_many(missing, loader, options, takes_absent=takes_absent)
        due = {key: entry for key, entry in found.items() if self.reader.leader.is_due(entry, options)}
        if due:
            self.reader.reload_soon(due, loader, options)
        return present(found)

    def look_in_memory(self, keys: list[Key], *, takes_absent: bool = True) -> Look:
        """Return what L1 has, counted."""
        look = look_in_memory(self.stack, keys, takes_absent=takes_absent)
        if self.stack.memory is not None:
            self.stack.memory.note_look(keys, look.found)
        counters = self.memory_counters
        counters.hits += len(look.found)
        counters.misses += len(keys) - len(look.found)
        counters.stale += len(look.stale) + len(look.doubted)
        return look

    # -- writing ---------------------------------------------------------------------------------------

    def put(self, values: Mapping[Key, Any], options: EntryOptions, *, durable: bool = False) -> None:
        """Store values."""
        make_entry = self.maker(options)  # which starts
        entries = {key: make_entry(value) for key, value in values.items()}
        self._coherence.put(entries, options.tier, durable=durable)

    def write(self, key: Key, value: Any, writer: Writer, make_entry: Callable[[Any], Entry]) -> None:
        """Write a value to its source, then bring the tiers in line.

        Args:
            key: The key.
            value: The value.
            writer: Writes to the source.
            make_entry: What `maker` returned before anything was written.
        """
        self._coherence.write(key, lambda: make_entry(value), lambda: writer(value))

    def maker(self, options: EntryOptions) -> Callable[[Any], Entry]:
        """Return what makes entries with the stamps of now, which what is invalidated later replaces."""
        self.start()
        stamps = self.stamps.current(options.tags)
        return lambda value: self.entries.make(value, options, stamps)

    def drop(self, keys: list[Key], *, durable: bool = False) -> int:
        """Remove keys and return how many entries there were."""
        self.start()
        return self._coherence.drop(keys, durable=durable) if keys else 0

    def invalidate(
        self, keys: list[Key], pattern: Pattern | None, tags: list[str], *, durable: bool = False
    ) -> int:
        """Forget keys, what matches a pattern, and what is under tags."""
        self.start()
        return self._coherence.invalidate(keys, pattern, tags, durable=durable)

    def clear(self, *, durable: bool = False) -> None:
        """Forget the namespace."""
        self.start()
        self._coherence.drop_everything(durable=durable)

    # -- the rest --------------------------------------------------------------------------------------

    def start(self) -> None:
        """Listen to the bus, if that has not begun, or a fork has ended it, and install what is missing."""
        self.bus.start(self.receiver.receive, self._host)
        self._outbox.start(self.changes)
        self._installer.attempt()
        self._upkeep.start()
        self.watch.start()

    def initialize(self, *, strict: bool) -> None:
        """Connect to all servers and start."""
        self.bus.start(self.receiver.receive, self._host)
        self._installer.install()
        self._outbox.start(self.changes)
        self._upkeep.start()
        self.bus.wait_joined(_LONGEST_JOIN)
        self.watch.start()
        report = self._examine()
        if strict:
            refuse_unless_up(report)  # a slow answer is one

    def stats(self) -> CacheStats:
        """Return the counts so far."""
        return count(self.stack, self.reader.leader.notes.counters)

    def health(self) -> HealthReport:
        """Ask every tier how it is doing."""
        return self.watch.complete(self._examine())

    def _examine(self) -> HealthReport:
        return examine(self.stack, self.stats(), self._outbox.state())

    def close(self) -> None:
        """Finish background reloads, stop listening, and close the tiers."""
        self._upkeep.close()
        self.watch.close()
        self._outbox.close()
        self.reader.close()
        self.bus.close()
        self.stack.close()

    # -- putting together ------------------------------------------------------------------------------

    def _guard(self, tier: Tier) -> GuardedTier:
        window = self._failover_window

        def collapse() -> Pending:
            if self.stack.is_authority(tier):
                return Pending(stamps=self.stamps.mint([NAMESPACE]))
            return Pending(patterns=[Pattern("*")])

        return GuardedTier(
            tier,
            clock=self.clock,
            recorder=self.recorder,
            current_among=self.stamps.current_among,
            stamp=self.stamps.current,
            collapse=collapse,
            on_replayed=lambda pending: self._coherence.spread_replayed(tier.name, pending),
            failover_window=window,
            lineage=lineage_of(self.bus, self.clock, tier, lambda: self.stack.is_authority(tier), window),
            keeper=self._keeper,
        )

    def _on_stamps_changed(self, stamps: Mapping[str, str], number: int) -> None:
        if self.stack.memory is not None:
            self.stack.memory.replace_stamps(stamps, number)
