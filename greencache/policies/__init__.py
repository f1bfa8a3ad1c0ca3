"""Eviction policies of L1, each a `cachetools.Cache`, and the orders behind those whose hits take no lock."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from cachetools import Cache, FIFOCache, LFUCache, LRUCache

from greencache.errors import ConfigurationError
from greencache.policies.adaptive import AdaptiveOrder
from greencache.policies.caches import DefaultCache, GDSFCache, RandomCache, S3FIFOCache, SieveCache
from greencache.policies.greedy_dual import GreedyDualOrder
from greencache.policies.order import MOST_MARKS, Mark, Marked, Order
from greencache.policies.s3fifo import S3FIFOOrder
from greencache.policies.sieve import SieveOrder
from greencache.typing import Key

__all__ = [
    "MOST_MARKS",
    "POLICIES",
    "AdaptiveOrder",
    "DefaultCache",
    "FIFOCache",
    "GDSFCache",
    "GreedyDualOrder",
    "LFUCache",
    "LRUCache",
    "Mark",
    "Marked",
    "Order",
    "Policy",
    "RandomCache",
    "S3FIFOCache",
    "S3FIFOOrder",
    "SieveCache",
    "SieveOrder",
    "policy_named",
]

Policy = Cache[Key, int]

POLICIES: Final[Mapping[str, Callable[..., Cache[Any, Any]]]] = {
    "default": DefaultCache,
    "s3fifo": S3FIFOCache,
    "sieve": SieveCache,
    "gdsf": GDSFCache,
    "lru": LRUCache,
    "lfu": LFUCache,
    "fifo": FIFOCache,
    "random": RandomCache,
}
"""The policies by the names that configuration files use; each is made as `(maxsize, getsizeof=None)`."""


def policy_named(name: str, size: int) -> Policy:
    """Return an empty policy.

    Args:
        name: Which one, such as "lru"; one of `POLICIES`.
        size: Bytes that the keys and values under it may weigh together.

    Raises:
        ConfigurationError: If there is no policy of that name.
    """
    try:
        policy = POLICIES[name]
    except KeyError:
        raise ConfigurationError(f"policy must be one of {', '.join(POLICIES)}, got {name!r}") from None
    return policy(size, getsizeof=int)
