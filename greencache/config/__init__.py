"""The configuration of a cache, as data: from YAML, from the environment, or from Python.

    CacheConfig.load("cache.yaml", profile="production")

Environment variables cover the profile, the profile covers the rest of the file. A value is never expanded
(`${NAME}` is just text): what differs from host to host belongs into the environment.
"""

from greencache.config.cache import CacheConfig
from greencache.config.features import BusConfig, CodecConfig, DefaultsConfig, HealthConfig, LoggingConfig
from greencache.config.redis_server import (
    ClusterConfig,
    ContainerConfig,
    RedisServerConfig,
    SentinelConfig,
)
from greencache.config.tiers import (
    BreakerConfig,
    L1Config,
    L2Config,
    L3Config,
    L4Config,
    RecordConfig,
    RedisConfig,
    RetryConfig,
    ServerConfig,
    SlowLooksConfig,
)
from greencache.config.units import parse_duration, parse_optional_duration, parse_size
from greencache.config.urls import PostgresUrl, RedisTopology, RedisUrl, ServerUrl
from greencache.config.views import ViewConfig

__all__ = [
    "BreakerConfig",
    "BusConfig",
    "CacheConfig",
    "ClusterConfig",
    "CodecConfig",
    "ContainerConfig",
    "DefaultsConfig",
    "HealthConfig",
    "L1Config",
    "L2Config",
    "L3Config",
    "L4Config",
    "LoggingConfig",
    "PostgresUrl",
    "RecordConfig",
    "RedisConfig",
    "RedisServerConfig",
    "RedisTopology",
    "RedisUrl",
    "RetryConfig",
    "SentinelConfig",
    "ServerConfig",
    "ServerUrl",
    "SlowLooksConfig",
    "ViewConfig",
    "parse_duration",
    "parse_optional_duration",
    "parse_size",
]
