"""A multi-tier cache for slowly changing facts: process memory, Redis and PostgreSQL, with no stale fill.

Names are imported when they are first used, so that `import greencache` loads neither a database driver nor
anything else that the program may not need.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from greencache.backends.redis import RedisManager as RedisManager
    from greencache.config import CacheConfig as CacheConfig
    from greencache.decorators import cached as cached
    from greencache.decorators import cached_with_invalidation as cached_with_invalidation
    from greencache.errors import CodecError as CodecError
    from greencache.errors import ConfigurationError as ConfigurationError
    from greencache.errors import DecodeError as DecodeError
    from greencache.errors import EncodeError as EncodeError
    from greencache.errors import GreencacheError as GreencacheError
    from greencache.errors import InvalidArgumentError as InvalidArgumentError
    from greencache.errors import InvalidationPending as InvalidationPending
    from greencache.errors import InvalidKeyError as InvalidKeyError
    from greencache.errors import InvalidOptionError as InvalidOptionError
    from greencache.errors import IsolationError as IsolationError
    from greencache.errors import LoadTimeoutError as LoadTimeoutError
    from greencache.errors import NotReplicatedError as NotReplicatedError
    from greencache.errors import SharedValueError as SharedValueError
    from greencache.errors import TierUnavailableError as TierUnavailableError
    from greencache.errors import UnsupportedFunctionError as UnsupportedFunctionError
    from greencache.health import HealthOptions as HealthOptions
    from greencache.health import HealthSample as HealthSample
    from greencache.loading import current_load as current_load
    from greencache.manager import CacheManager as CacheManager
    from greencache.options import EntryOptions as EntryOptions
    from greencache.outbox.watcher import TableWatch as TableWatch
    from greencache.outbox.watcher import TableWatcher as TableWatcher
    from greencache.strategies import CacheAside as CacheAside
    from greencache.strategies import WriteThrough as WriteThrough
    from greencache.tiers.view_policy import RefreshPolicy as RefreshPolicy
    from greencache.tiers.view_spec import ViewSpec as ViewSpec
    from greencache.typing import MISSING as MISSING
    from greencache.typing import NOT_MODIFIED as NOT_MODIFIED
    from greencache.typing import UNSET as UNSET
    from greencache.typing import CacheTier as CacheTier

__version__ = "0.1.0"

_HOMES = {
    "CacheAside": "greencache.strategies",
    "CacheConfig": "greencache.config",
    "CacheManager": "greencache.manager",
    "CacheTier": "greencache.typing",
    "CodecError": "greencache.errors",
    "ConfigurationError": "greencache.errors",
    "DecodeError": "greencache.errors",
    "EncodeError": "greencache.errors",
    "EntryOptions": "greencache.options",
    "GreencacheError": "greencache.errors",
    "HealthOptions": "greencache.health",
    "HealthSample": "greencache.health",
    "InvalidArgumentError": "greencache.errors",
    "InvalidKeyError": "greencache.errors",
    "InvalidOptionError": "greencache.errors",
    "IsolationError": "greencache.errors",
    "InvalidationPending": "greencache.errors",
    "LoadTimeoutError": "greencache.errors",
    "NotReplicatedError": "greencache.errors",
    "SharedValueError": "greencache.errors",
    "MISSING": "greencache.typing",
    "NOT_MODIFIED": "greencache.typing",
    "RedisManager": "greencache.backends.redis",
    "RefreshPolicy": "greencache.tiers.view_policy",
    "TableWatch": "greencache.outbox.watcher",
    "TableWatcher": "greencache.outbox.watcher",
    "TierUnavailableError": "greencache.errors",
    "UNSET": "greencache.typing",
    "UnsupportedFunctionError": "greencache.errors",
    "ViewSpec": "greencache.tiers.view_spec",
    "WriteThrough": "greencache.strategies",
    "cached": "greencache.decorators",
    "current_load": "greencache.loading",
    "cached_with_invalidation": "greencache.decorators",
}

__all__ = [
    "MISSING",
    "NOT_MODIFIED",
    "UNSET",
    "CacheAside",
    "CacheConfig",
    "CacheManager",
    "CacheTier",
    "CodecError",
    "ConfigurationError",
    "DecodeError",
    "EncodeError",
    "EntryOptions",
    "GreencacheError",
    "HealthOptions",
    "HealthSample",
    "InvalidArgumentError",
    "InvalidKeyError",
    "InvalidOptionError",
    "InvalidationPending",
    "IsolationError",
    "LoadTimeoutError",
    "NotReplicatedError",
    "RedisManager",
    "RefreshPolicy",
    "SharedValueError",
    "TableWatch",
    "TableWatcher",
    "TierUnavailableError",
    "UnsupportedFunctionError",
    "ViewSpec",
    "WriteThrough",
    "cached",
    "cached_with_invalidation",
    "current_load",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'greencache' has no attribute {name!r}")
    found = getattr(importlib.import_module(home), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
