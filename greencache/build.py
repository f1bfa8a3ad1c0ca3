"""The composition root: makes a cache from its configuration; the one module that knows everybody."""

import os
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from greencache.backends.breaker import Breaker
from greencache.backends.postgres import PostgresManager
from greencache.backends.redis import RedisManager
from greencache.backends.retry import RetryPolicy
from greencache.bus.base import Bus
from greencache.bus.redis import RedisBus
from greencache.clock import Clock, SystemClock
from greencache.codecs import Codec, Signer, compressor_named, serializer_named
from greencache.config import CacheConfig, L4Config, RedisConfig, ServerConfig
from greencache.errors import ConfigurationError
from greencache.events import NullRecorder, Recorder
from greencache.log import StructlogRecorder
from greencache.manager import CacheManager
from greencache.stats import TierCounters
from greencache.strategies import CacheAside, Strategy, WriteThrough
from greencache.tiers.base import Tier
from greencache.tiers.border import Border
from greencache.tiers.memory import MemoryTier
from greencache.tiers.postgres import PostgresTier
from greencache.tiers.redis import RedisTier
from greencache.tiers.view import ViewSpec, ViewTier
from greencache.typing import CacheTier

__all__ = ["build", "from_config", "from_urls"]

M = TypeVar("M", bound=CacheManager)

_STRATEGIES: dict[str, type[Strategy]] = {"cache-aside": CacheAside, "write-through": WriteThrough}


def from_urls(
    cls: type[M],
    *,
    l1: str | int | None,
    l2: str | None,
    l3: str | None,
    l4: str | None,
    namespace: str,
    **parts: Any,
) -> M:
    """Return a cache over the servers at these addresses, with the default settings for all else.

    Args:
        cls: The class of the cache.
        l1: Bytes of L1, such as "5MB"; `None` for no L1.
        l2: Address of the host's Redis.
        l3: Address of the Redis that all hosts share.
        l4: Address of PostgreSQL.
        namespace: Keeps this cache's keys apart from all others.
        parts: As of `build`.
    """
    config = CacheConfig.from_urls(l1=l1, l2=l2, l3=l3, l4=l4, namespace=namespace)
    return build(cls, config, **parts)


def from_config(cls: type[M], source: "CacheConfig | str | os.PathLike[str]", *, profile: str | None) -> M:
    """Return the cache that a configuration, or a YAML file, describes.

    Args:
        cls: The class of the cache.
        source: The configuration, or the path of its file.
        profile: Which profile of the file.
    """
    if isinstance(source, CacheConfig):
        return build(cls, source)
    return build(cls, CacheConfig.load(source, profile=profile))


def build(
    cls: type[M],
    config: CacheConfig,
    *,
    types: Iterable[type] = (),
    views: Sequence[ViewSpec] = (),
    recorder: Recorder | None = None,
    clock: Clock | None = None,
) -> M:
    """Return the cache that a configuration describes.

    Args:
        cls: The class of the cache.
        config: All settings.
        types: Classes of values that processes may read which have not stored one themselves.
        views: Materialized views that L4 reads, beside those of the configuration.
        recorder: Is told of what happens; by default what `config.logging` says.
        clock: Where the time comes from.

    Raises:
        ConfigurationError: If the settings do not fit together.
    """
    return _Builder(config, tuple(types), tuple(views), recorder, clock or SystemClock()).cache(cls)


class _Builder:
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
        self._recorder = recorder or _recorder(config, clock)
        self._codec = _codec(config, types, clock)
        self._redis: list[RedisManager] = []

    def cache(self, cls: type[M]) -> M:
        """Return the cache."""
        config = self._config
        tiers = [*self._redis_tiers(), *self._postgres_tiers()]
        bus = self._bus()
        return cls(
            [*self._memory(has_bus=bus is not None, is_shared=bool(tiers)), *tiers],
            namespace=config.namespace,
            strategy=_STRATEGIES[config.strategy](),
            bus=bus,
            defaults=config.defaults.options(),
            max_staleness=config.bus.max_staleness,
            max_concurrent_loads=config.max_concurrent_loads,
            recorder=self._recorder,
            clock=self._clock,
        )

    def _memory(self, *, has_bus: bool, is_shared: bool) -> list[Tier]:
        l1, max_staleness = self._config.l1, self._config.bus.max_staleness
        if not l1.enabled:
            return []
        ttl = l1.ttl
        if is_shared and not has_bus and max_staleness is not None:
            # Nobody tells this process what others have invalidated, so L1 asks that often instead.
            ttl = max_staleness if ttl is None else min(ttl, max_staleness)
        return [MemoryTier(l1.size, max_entries=l1.max_entries, ttl=ttl, policy=l1.policy, clock=self._clock)]

    def _redis_tiers(self) -> list[Tier]:
        tiers: list[Tier] = []
        for name, config in ((CacheTier.L2, self._config.l2), (CacheTier.L3, self._config.l3)):
            if config.is_configured:
                manager = RedisManager(
                    _address(config),
                    timeout=config.timeout,
                    deadline=config.deadline,
                    max_connections=config.max_connections,
                    username=config.username,
                    password=config.password.get_secret_value() if config.password else None,
                    **self._connection(config),
                )
                self._redis.append(manager)
                tiers.append(self._redis_tier(name, config, manager))
        return tiers

    def _redis_tier(self, name: CacheTier, config: RedisConfig, manager: RedisManager) -> RedisTier:
        border = self._border(name, config.max_entry_size)
        return RedisTier(
            name,
            manager,
            border,
            namespace=self._config.namespace,
            ttl=config.ttl,
            lease_ttl=config.lease_ttl,
            clock=self._clock,
            counters=border.counters,
        )

    def _postgres_tiers(self) -> list[Tier]:
        config = self._config.l4
        if not config.is_configured:
            if self._views:
                raise ConfigurationError("views need PostgreSQL: expected the address of L4, got none")
            return []
        manager = PostgresManager(
            _address(config),
            timeout=config.deadline,
            statement_timeout=config.timeout,
            max_connections=config.max_connections,
            schema=config.schema_name,
            **self._connection(config),
        )
        border = self._border(CacheTier.L4, config.max_entry_size)
        table = PostgresTier(
            manager,
            border,
            namespace=self._config.namespace,
            ttl=config.ttl,
            lease_ttl=config.lease_ttl,
            clock=self._clock,
            counters=border.counters,
        )
        views = [*_view_specs(config), *self._views]
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

    def _connection(self, config: ServerConfig) -> dict[str, Any]:
        """Return what both kinds of manager take."""
        retry = config.retry
        return {
            "connect_timeout": config.connect_timeout,
            "retry": RetryPolicy(
                retries=retry.retries, base=retry.base, factor=retry.factor, full_jitter=retry.full_jitter
            ),
            "breaker": Breaker(
                config.breaker.failures, reset_after=config.breaker.reset_after, clock=self._clock
            ),
            "clock": self._clock,
        }


def _recorder(config: CacheConfig, clock: Clock) -> Recorder:
    logging = config.logging
    if not logging.enabled:
        return NullRecorder()
    return StructlogRecorder(
        redact_keys=logging.redact_keys,
        level=logging.level,
        burst=logging.max_per_second,
        period=1.0,
        clock=clock,
    )


def _codec(config: CacheConfig, types: tuple[type, ...], clock: Clock) -> Codec:
    codec = config.codec
    keys = [key.get_secret_value().encode() for key in codec.signing_keys]
    return Codec(
        serializer_named(codec.serializer, types),
        compressor=None if codec.compression == "none" else compressor_named(codec.compression),
        compress_above=codec.compress_above,
        max_size=codec.max_size,
        signer=Signer(keys) if keys else None,
        checksum=codec.checksum,
        clock=clock,
    )


def _address(config: ServerConfig) -> str:
    if config.url is None:
        raise ConfigurationError("expected the address of a server, got none")
    return config.url.get_secret_value()


def _view_specs(config: L4Config) -> list[ViewSpec]:
    return [
        ViewSpec(
            name=view.name,
            template=view.key,
            columns=view.key_columns,
            value=view.value,
            max_age=view.max_age,
            query=view.query,
        )
        for view in config.views
    ]
