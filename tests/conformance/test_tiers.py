"""The tiers that are servers keep the promises of every tier."""

import contextlib

import pytest

from greencache.backends.postgres import PostgresManager
from greencache.testing import TierSuite
from greencache.tiers.postgres import PostgresTier
from greencache.typing import CacheTier
from tests.conformance.redis_tier import RedisTierSuite, border


class TestRedisTier(RedisTierSuite):
    """A single server."""

    @pytest.fixture
    def url(self, redis_url):
        """Of an empty Redis."""
        return redis_url


class TestRedisTierBehindSentinels(RedisTierSuite):
    """The primary of the moment."""

    @pytest.fixture
    def url(self, redis_sentinel_url):
        """Of an empty Redis that sentinels watch."""
        return redis_sentinel_url


class TestRedisTierOnACluster(RedisTierSuite):
    """Keys on three primaries."""

    @pytest.fixture
    def url(self, redis_cluster_url):
        """Of an empty Cluster."""
        return redis_cluster_url


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
