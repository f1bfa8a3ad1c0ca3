"""A process: a real cache over doubles of servers, its threads, and its listener."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from greencache import CacheManager, CacheTier
from greencache.entry import State, judge
from greencache.strategies import Strategy
from greencache.testing import DoubleRedisTier, RedisDouble
from greencache.tiers.memory import MemoryTier

from .bus import Ear
from .instruments import INSTRUMENTS, brief
from .scheduler import Actor, ViolationError, reading

if TYPE_CHECKING:
    from .world import World

KEY = "k"
TAG = "t"

Verb: TypeAlias = Callable[["Process"], None]
"""Something that a thread does; has the attributes `publishes` and `restamps` if it does such a thing."""


class Process:
    """A process with its cache.

    Args:
        world: Where it is.
        name: For the trace.
        host: The server of its host; `None` for none.
        shared: The server that all share; `None` for a cache of L1 alone.
    """

    def __init__(
        self,
        world: "World",
        name: str,
        host: RedisDouble | None,
        shared: RedisDouble | None,
        strategy: Strategy | None,
        *,
        has_memory: bool,
    ) -> None:
        self.name = name
        self.world = world
        self.ear = Ear(world.bus, name)
        self.floor = 0
        """The version of the source that an acknowledged call in this process has vouched for."""
        self.memory = MemoryTier(clock=world.clock) if has_memory else None
        if self.memory is not None:
            self.memory._numbers = INSTRUMENTS.numbers()
        servers = ((host, CacheTier.L2), (shared, CacheTier.L3))
        tiers = [DoubleRedisTier(s, name=n, clock=world.clock) for s, n in servers if s is not None]
        self.cache = CacheManager(
            [*([self.memory] if has_memory else []), *tiers],
            bus=self.ear,
            strategy=strategy,
            max_staleness=None,
            clock=world.clock,
        )
        self.engine = self.cache._engine
        self.reader = self.engine.reader
        self.stamps, self.flights, self.guarded = (
            self.engine.stamps,
            self.reader.flights,
            self.engine.stack.shared,
        )
        self.reader.driver.sleep = lambda _: self._pause()
        # Leases of doubles last as long as the clock stands still.
        self.reader.leader.keeper.close()
        names = {self.memory: "L1", self.stamps: "stamps", self.flights: "flights"}
        names |= dict.fromkeys(self.guarded, "stamps")
        INSTRUMENTS.names.update({id(each): f"{name}.{what}" for each, what in names.items()})
        self._shared = "nothing" if shared is None else shared.name
        self._own = {f"{name}.{what}" for what in ("L1", "stamps", "flights")}
        self._own |= set() if host is None else {host.name}
        self.engine.start()
        if world.knows_stamps:
            self.stamps.before_load([TAG])

    # -- actors ------------------------------------------------------------------------------------------

    def do(self, *verbs: "Verb") -> None:
        """Add a thread of this process that calls verbs, one after the other."""
        number = sum(1 for actor in self.world.run.actors if actor.startswith(self.name)) + 1
        stamps, ledger = f"{self._shared}.stamps", f"{self.name}.ledger"
        reach = self._own | {ledger, "source", self._shared, stamps}
        changes = self._own | {self._shared}
        publishes = any(getattr(verb, "publishes", False) for verb in verbs)
        if publishes:
            reach |= {"bus"}
            changes |= {ledger, "source", "bus"}
        if any(getattr(verb, "restamps", False) for verb in verbs):
            changes |= {stamps}
        actor = Actor(f"{self.name}{number}", lambda: [verb(self) for verb in verbs], reach, changes)
        if publishes:
            self.world.publishers.append((self, actor))
        self.world.run.add(actor)

    def listen(self) -> None:
        """Add the listener of this process."""
        name = f"{self.name} listener"

        def is_over() -> bool:
            at_rest = self.world.run.actors[name].next.label == "bus.hear" and not self.ear.has_news
            others = (actor for process, actor in self.world.publishers if process is not self)
            return at_rest and all(actor.is_done for actor in others)

        reach = self._own | {"bus", f"{self._shared}.stamps"}
        self.world.run.add(Actor(name, self.ear.listen, reach, self._own, is_listener=True, is_over=is_over))

    def _pause(self) -> None:
        """Look again at a load of another process when something has happened at the authority."""
        run, server = self.world.run, self.engine.stack.authority.tier.server
        actor = run.actor
        if actor is None:
            raise ViolationError(f"a lease at {server.name} was left behind")
        seen = actor.seen[server.name]
        run.stop_before(reading("looks again", server.name, is_ready=lambda: server.changes != seen))

    # -- what may be said of it --------------------------------------------------------------------------

    def visible(self) -> dict[str, int]:
        """Return what a read would find in each tier, were the ones above it empty."""
        now = self.world.clock.now()
        found = {}
        entry = None if self.memory is None else self.memory.get_many([KEY]).get(KEY)
        if entry is not None and judge(entry, now) <= State.DUE:
            found["L1"] = entry.value
        for tier in self.guarded:
            entry = tier.look([KEY])[0].get(KEY)
            if entry is not None:
                found[tier.name.name] = entry.value
        return found

    def fingerprint(self) -> object:
        """Return what tells its state from others."""
        memory, stamps, labels = self.memory, self.stamps, INSTRUMENTS.flights
        return (
            memory and (brief(memory._entries.index), brief(memory._leases), brief(memory._revoked)),
            brief(stamps._tokens),
            brief(stamps._confirmed),
            brief(stamps._refuted),
            stamps._changes,
            tuple((key, labels[id(flight)][0]) for key, flight in self.flights._flights.items()),
            tuple(
                (tier.status, tuple(tier._pending._queued), tier._pending._replay is not None)
                for tier in self.guarded
            ),
            self.ear.heard,
            self.floor,
        )
