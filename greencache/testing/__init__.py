"""What tests of caches need: a clock to own, conditions to wait for, real servers to start."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greencache.testing.certificates import Certificates, make_certificates
    from greencache.testing.clock import FakeClock
    from greencache.testing.conformance import TierSuite
    from greencache.testing.doubles import DoubleRedisTier
    from greencache.testing.proxy import Cut, TcpProxy
    from greencache.testing.redis_double import RedisDouble
    from greencache.testing.servers import (
        NoServerAvailable,
        PostgresServer,
        RedisClusterServers,
        RedisSentinelServers,
        RedisServer,
    )
    from greencache.testing.waiting import WaitTimeoutError, wait_until

__all__ = [
    "Certificates",
    "Cut",
    "DoubleRedisTier",
    "FakeClock",
    "NoServerAvailable",
    "PostgresServer",
    "RedisClusterServers",
    "RedisDouble",
    "RedisSentinelServers",
    "RedisServer",
    "TcpProxy",
    "TierSuite",
    "WaitTimeoutError",
    "make_certificates",
    "wait_until",
]

_HOMES = {
    "Certificates": "certificates",
    "Cut": "proxy",
    "DoubleRedisTier": "doubles",
    "FakeClock": "clock",
    "NoServerAvailable": "servers",
    "PostgresServer": "servers",
    "RedisDouble": "redis_double",
    "RedisClusterServers": "servers",
    "RedisSentinelServers": "servers",
    "RedisServer": "servers",
    "TcpProxy": "proxy",
    "TierSuite": "conformance",
    "WaitTimeoutError": "waiting",
    "make_certificates": "certificates",
    "wait_until": "waiting",
}


def __getattr__(name: str) -> Any:
    # The pytest plugin lives in this package and is loaded before coverage starts: import on first use.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
