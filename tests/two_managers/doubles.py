"""The processes over doubles of servers, where time, outages and what is heard are the machine's."""

import math
from unittest import mock

from greencache import CacheManager, CacheTier
from greencache.bus.base import Message, MessageKind
from greencache.bus.local import LocalBus, LocalHub
from greencache.strategies import WriteThrough
from greencache.testing import DoubleRedisTier, FakeClock, RedisDouble
from greencache.tiers.memory import MemoryTier
from greencache.tiers.replayer import Replayer

from .world import MAX_STALENESS, World


class PausableBus(LocalBus):
    """A bus that may hear later, or have missed what was said, and vouches only for what it has heard."""

    def __init__(self, hub: LocalHub) -> None:
        super().__init__(hub)
        self.backlog: list[tuple[int, Message | None]] = []
        self.is_paused = False
        self.trusted_until = -math.inf

    def receive(self, number: int, message: Message | None) -> None:
        """Hear a message, now or later."""
        if self.is_paused:
            self.backlog.append((number, message))
        else:
            super().receive(number, message)

    def resume(self, *, has_missed: bool) -> None:
        """Hear what has been said since the pause, or that some of it was missed."""
        self.is_paused = False
        backlog, self.backlog = self.backlog, []
        if has_missed and backlog:
            backlog = [(backlog[-1][0], Message(MessageKind.GAP))]
        for number, message in backlog:
            super().receive(number, message)

    def vouch(self, now: float) -> None:
        """Prove that everything was heard until now."""
        if not self.is_paused:
            self.trusted_until = now + MAX_STALENESS


class DoubleWorld(World):
    """Processes that share a double of an L3, the second and the third also a double of an L2."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.hub = LocalHub()
        self.host, self.shared = RedisDouble("L2"), RedisDouble("L3")
        # Replayed by who uses a tier next, and so at a known time.
        self.stack.enter_context(mock.patch.object(Replayer, "wake"))

    def begin(self, *, shares_host: bool) -> CacheManager:
        """Return the cache of a new process."""
        tiers = [MemoryTier(clock=self.clock), self._tier(self.shared, CacheTier.L3)]
        if shares_host:
            tiers.append(self._tier(self.host, CacheTier.L2))
        strategy = WriteThrough() if shares_host else None
        cache = CacheManager(
            tiers,
            bus=PausableBus(self.hub),
            strategy=strategy,
            max_staleness=MAX_STALENESS,
            clock=self.clock,
        )
        cache._engine.reader.driver.sleep = lambda _: self.advance(1.0)
        cache.initialize()
        self.bus(cache).vouch(self.now)
        return cache

    def _tier(self, server: RedisDouble, name: CacheTier) -> DoubleRedisTier:
        return DoubleRedisTier(server, name=name, clock=self.clock, ttl=3_600.0)

    @staticmethod
    def bus(cache: CacheManager) -> PausableBus:
        """Return the bus of a cache."""
        return cache._engine.bus

    @property
    def buses(self) -> list[PausableBus]:
        """The buses of all."""
        return [self.bus(member.cache) for member in self.members]

    @property
    def now(self) -> float:
        """Seconds of the fake clock."""
        return self.clock.now()

    @property
    def is_up(self) -> bool:
        """Whether L3 answers."""
        return not self.shared.is_down

    def advance(self, seconds: float) -> None:
        """Let time pass; who hears proves it."""
        self.clock.advance(seconds)
        for bus in self.buses:
            bus.vouch(self.now)
