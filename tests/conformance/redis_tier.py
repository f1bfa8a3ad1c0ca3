"""The promises of a tier, to be asked of a Redis however it is deployed."""

import pytest

from greencache.backends.redis import RedisManager
from greencache.codecs import Codec
from greencache.events import NullRecorder
from greencache.stats import TierCounters
from greencache.testing import TierSuite
from greencache.tiers.border import Border
from greencache.tiers.redis import RedisTier
from greencache.typing import CacheTier

__all__ = ["RedisTierSuite", "border"]


def border(tier, namespace, clock):
    """Return a border that takes a megabyte."""
    return Border(
        tier,
        Codec(clock=clock),
        namespace=namespace,
        max_size=1_000_000,
        counters=TierCounters(),
        recorder=NullRecorder(),
    )


class RedisTierSuite(TierSuite):
    """A Redis as L3. Subclasses give the fixture `url`, of an empty one."""

    @pytest.fixture
    def manager(self, url):
        """The door to it."""
        with RedisManager(url) as manager:
            yield manager

    def make(self, manager, namespace, clock):
        """Return a tier of a namespace."""
        between = border(CacheTier.L3, namespace, clock)
        return RedisTier(
            CacheTier.L3,
            manager,
            between,
            namespace=namespace,
            ttl=3600.0,
            clock=clock,
            counters=between.counters,
        )

    @pytest.fixture
    def tier(self, manager, clock):
        """A tier of its own namespace."""
        return self.make(manager, "one", clock)

    @pytest.fixture
    def neighbour(self, manager, clock):
        """A tier of another namespace on the same server."""
        return self.make(manager, "two", clock)
