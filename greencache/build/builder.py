"""Makes the parts of one cache and puts them together."""

import os
from collections.abc import Mapping
from functools import partial
from typing import Any, TypeVar

from greencache.backends.postgres import PostgresManager
from greencache.backends.postgres_announcements import Announcements
from greencache.backends.postgres_changes import Changes
from greencache.backends.redis import RedisManager
from greencache.build.parts import (
    access_log_of,
    address_of,
    codec_of,
    recorder_of,
    slow_looks_of,
    view_specs_of,
)
from greencache.build.servers import connection_of, redis_manager_of
from greencache.bus.base import Bus
from greencache.bus.redis import RedisBus
from greencache.clock import Clock
from greencache.config import CacheConfig, RedisConfig
from greencache.database.source import PostgresSource
from greencache.errors import ConfigurationError
from greencache.events import Recorder
from greencache.health import HealthOptions
from greencache.manager import CacheManager
from greencache.outbox.listener import OutboxListener
from greencache.stats import TierCounters
from greencache.strategies import CacheAside, Strategy, WriteThrough
from greencache.tiers.base import Tier
from greencache.tiers.border import Border
from greencache.tiers.memory import MemoryTier
from greencache.tiers.memory_recorded import RecordedMemoryTier
from greencache.tiers.postgres import PostgresTier
from greencache.tiers.redis import RedisTier
from greencache.tiers.redis_replicas import ReplicaReadingTier
from greencache.tiers.view import ViewTier
from greencache.tiers.view_spec import ViewSpec
from greencache.typing import CacheTier

__all__ = ["Builder"]

M = TypeVar("M", bound=CacheManager)

_STRATEGIES: dict[str, type[Strategy]] = {"cache-aside": CacheAside, "write-through": WriteThrough}


class Builder:
    """Makes the parts of one cache.

    Args:
        config, types, views, recorder, clock: As of `build`.
    """

    def __init__(
        self,
        config: CacheConfig,
        types: tuple[type, ...],
        views: tuple[ViewSpec, ...],
        recorder: Recorder | None,
        clock: Clock,
    ) -> None:
        self._config = config
        self._views = views
        self._clock = clock
        self._recorder = recorder or recorder_of(config, clock)
        self._codec = codec_of(config, types, clock)
        self._redis: list[RedisManager] = []
        self._postgres: PostgresManager | None = None
        self._changes: Changes | None = None

    def cache(self, cls: type[M], arguments: Mapping[str, Any]) -> M:
        """Return the cache, with some arguments given instead of those that the settings make."""
        config = self._config
        tiers = [*self._redis_tiers(), *self._postgres_tiers()]
        bus = self._bus()
        settings: dict[str, Any] = {
            "namespace": config.namespace,
            "strategy": _STRATEGIES[config.strategy](serve_unproved=config.bus.serve_unproved),
            "bus": bus,
            "outbox": self._outbox(),
            "postgres": self._source(),
            "defaults": config.defaults.options(),
            "isolation": config.isolation,
            "max_staleness": config.bus.max_staleness,
            "max_concurrent_loads": config.max_concurrent_loads,
            "failover_window": config.failover_window,
            "health": HealthOptions(config.health.interval, config.health.max_latency),
            "recorder": self._recorder,
            "clock": self._clock,
        }
        given = {name: value for name, value in arguments.items() if name != "record"}
        memory = self._memory(arguments.get("record"), has_bus=bus is not None, is_shared=bool(tiers))
        return cls([*memory, *tiers], **{**settings, **given})

    def _memory(self, record: str | os.PathLike[str] | None, *, has_bus: bool, is_shared: bool) -> list[Tier]:
        l1, max_staleness = self._config.l1, self._config.bus.max_staleness
        if not l1.enabled:
            return []
        ttl = l1.ttl
        if is_shared and not has_bus and max_staleness is not None:
            # Nobody tells this process what others have invalidated, so L1 asks that often instead.
            ttl = max_staleness if ttl is None else min(ttl, max_staleness)
        options: dict[str, Any] = {
            "max_entries": l1.max_entries,
            "ttl": ttl,
            "policy": l1.policy,
            "count_hits": l1.count_hits,
            "clock": self._clock,
        }
        accesses = access_log_of(l1.record, record, self._clock, self._recorder)
        if accesses is None:
            return [MemoryTier(l1.size, **options)]
        return [RecordedMemoryTier(l1.size, accesses=accesses, **options)]

    def _redis_tiers(self) -> list[Tier]:
        tiers: list[Tier] = []
        l2, l3 = self._config.l2, self._config.l3
        if l2.is_configured and l3.is_configured and address_of(l2) == address_of(l3):
            raise ConfigurationError(
                "l2 and l3 must be different databases, got one address for both: each would take the other's"
                " entries and leases for its own; leave one of them out"
            )
        for name, config in ((CacheTier.L2, self._config.l2), (CacheTier.L3, self._config.l3)):
            if config.is_configured:
                manager = redis_manager_of(config, self._clock)
                self._redis.append(manager)
                tiers.append(self._redis_tier(name, config, manager))
        return tiers

    def _redis_tier(self, name: CacheTier, config: RedisConfig, manager: RedisManager) -> RedisTier:
        border = self._border(name, config.max_entry_size)
        replicas = manager.replicas
        kind = RedisTier if replicas is None else partial(ReplicaReadingTier, replicas=replicas)
        return kind(
            name,
            manager,
            border,
            namespace=self._config.namespace,
            ttl=config.ttl,
            lease_ttl=config.lease_ttl,
            clock=self._clock,
            counters=border.counters,
            slow_looks=slow_looks_of(config),
        )

    def _postgres_tiers(self) -> list[Tier]:
        config = self._config.l4
        if not config.is_configured:
            if self._views:
                raise ConfigurationError("views need PostgreSQL: expected the address of L4, got none")
            return []
        manager = self._postgres = PostgresManager(
            address_of(config),
            timeout=config.deadline,
            statement_timeout=None if config.pooled else config.timeout,
            prepare_threshold=None if config.pooled else 5,
            max_connections=config.max_connections,
            schema=config.schema_name,
            **connection_of(config, self._clock),
        )
        self._changes = Changes(manager, self._config.namespace, window=config.snapshot_window)
        border = self._border(CacheTier.L4, config.max_entry_size)
        table = PostgresTier(
            manager,
            border,
            namespace=self._config.namespace,
            ttl=config.ttl,
            lease_ttl=config.lease_ttl,
            clock=self._clock,
            counters=border.counters,
            sweep_interval=config.sweep_interval,
            size=config.size,
            max_entries=config.max_entries,
            unlogged=config.unlogged,
            changes=self._changes,
        )
        views = [*view_specs_of(config), *self._views]
        if not views:
            return [table]
        # Before the table: a view that has a key is its truth.
        view = ViewTier(
            manager,
            views,
            namespace=self._config.namespace,
            clock=self._clock,
            counters=TierCounters(),
            recorder=self._recorder,
            announces=config.listen,
            poll_interval=config.poll_interval,
        )
        return [view, table]

    def _border(self, tier: CacheTier, max_size: int) -> Border:
        return Border(
            tier,
            self._codec,
            namespace=self._config.namespace,
            max_size=max_size,
            counters=TierCounters(),
            recorder=self._recorder,
        )

    def _bus(self) -> Bus | None:
        """Return the bus at the authority, which is the deepest Redis."""
        config = self._config.bus
        if not (config.enabled and self._redis):
            return None
        return RedisBus(
            self._redis[-1],
            namespace=self._config.namespace,
            clock=self._clock,
            recorder=self._recorder,
            max_staleness=config.max_staleness,
            heartbeat=config.heartbeat,
        )

    def _outbox(self) -> OutboxListener | None:
        """Return what hears the database, if there is one."""
        config = self._config.l4
        if self._postgres is None or not config.listen:
            return None
        return OutboxListener(
            self._postgres,
            namespace=self._config.namespace,
            clock=self._clock,
            recorder=self._recorder,
            poll_interval=config.poll_interval,
        )

    def _source(self) -> PostgresSource | None:
        """Return the database as loaders read it, if there is one."""
        if self._postgres is None or self._changes is None:
            return None
        return PostgresSource(
            self._postgres,
            self._changes,
            Announcements(self._postgres, self._config.namespace),
            max_connections=self._config.l4.max_connections,
        )
