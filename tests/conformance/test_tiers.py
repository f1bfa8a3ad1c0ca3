"""The tiers that are servers keep the promises of every tier."""

import contextlib

import pytest

from greencache.backends.postgres import PostgresManager
from greencache.backends.redis import RedisManager
from greencache.codecs import Codec
from greencache.events import NullRecorder
from greencache.stats import TierCounters
from greencache.testing import TierSuite
from greencache.tiers.border import Border
from greencache.tiers.postgres import PostgresTier
from greencache.tiers.redis import RedisTier
from greencache.typing import CacheTier


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


class TestRedisTier(TierSuite):
    """A Redis, as L3."""

    @pytest.fixture
    def manager(self, redis_url):
        """The door to an empty Redis."""
        with RedisManager(redis_url) as manager:
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


class TestRedisTierBehindSentinels(TestRedisTier):
    """The primary of the moment, as L3."""

    @pytest.fixture
    def manager(self, redis_sentinel_url):
        """The door to an empty Redis that sentinels watch."""
        with RedisManager(redis_sentinel_url) as manager:
            yield manager


class TestRedisTierOnACluster(TestRedisTier):
    """Keys on three primaries, as L3."""

    @pytest.fixture
    def manager(self, redis_cluster_url):
        """The door to an empty Cluster."""
        with RedisManager(redis_cluster_url) as manager:
            yield manager


class TestPostgresTier(TierSuite):
    """The key-value table of PostgreSQL, as L4."""

    @pytest.fixture
    def manager(self, postgres_url):
        """The door to an empty database."""
        with contextlib.closing(PostgresManager(postgres_url)) as manager:
            yield manager

    def make(self, manager, namespace, clock):
        """Return a tier of a namespace."""
        between = border(CacheTier.L4, namespace, clock)
        return PostgresTier(manager, between, namespace=namespace, clock=clock, counters=between.counters)

    @pytest.fixture
    def tier(self, manager, clock):
        """A tier of its own namespace."""
        return self.make(manager, "one", clock)

    @pytest.fixture
    def neighbour(self, manager, clock):
        """A tier of another namespace in the same database."""
        return self.make(manager, "two", clock)
