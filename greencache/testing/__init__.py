"""What tests of caches need: a clock to own, conditions to wait for, real servers to start."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greencache.testing.clock import FakeClock
    from greencache.testing.conformance import TierSuite
    from greencache.testing.doubles import DoubleRedisTier
    from greencache.testing.redis_double import RedisDouble
    from greencache.testing.proxy import Cut, TcpProxy
    from greencache.testing.servers import NoServerAvailable, PostgresServer, RedisServer
    from greencache.testing.waiting import WaitTimeoutError, wait_until

__all__ = [
    "Cut",
    "DoubleRedisTier",
    "FakeClock",
    "NoServerAvailable",
    "PostgresServer",
    "RedisDouble",
    "RedisServer",
    "TcpProxy",
    "TierSuite",
    "WaitTimeoutError",
    "wait_until",
]

_HOMES = {
    "Cut": "proxy",
    "DoubleRedisTier": "doubles",
    "FakeClock": "clock",
    "NoServerAvailable": "servers",
    "PostgresServer": "servers",
    "RedisDouble": "redis_double",
    "RedisServer": "servers",
    "TcpProxy": "proxy",
    "TierSuite": "conformance",
    "WaitTimeoutError": "waiting",
    "wait_until": "waiting",
}


def __getattr__(name: str) -> Any:
    # The pytest plugin lives in this package and is loaded before coverage starts: import on first use.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
