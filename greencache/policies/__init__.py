"""Eviction policies of L1, each a `cachetools.Cache`, and the orders behind those whose hits take no lock."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from cachetools import Cache, FIFOCache, LFUCache, LRUCache

from greencache.errors import ConfigurationError
from greencache.policies.adaptive import AdaptiveOrder
from greencache.policies.caches import DefaultCache, GDSFCache, RandomCache, S3FIFOCache, SieveCache
from greencache.policies.greedy_dual import GreedyDualOrder
from greencache.policies.order import MOST_MARKS, Mark, Marked, Order
from greencache.policies.plain import FIFOOrder, RandomOrder
from greencache.policies.s3fifo import S3FIFOOrder
from greencache.policies.sieve import SieveOrder
from greencache.typing import Key

__all__ = [
    "MOST_MARKS",
    "POLICIES",
    "AdaptiveOrder",
    "DefaultCache",
    "FIFOCache",
    "FIFOOrder",
    "GDSFCache",
    "GreedyDualOrder",
    "LFUCache",
    "LRUCache",
    "Mark",
    "Marked",
    "Order",
    "Policy",
    "RandomCache",
    "RandomOrder",
    "S3FIFOCache",
    "S3FIFOOrder",
    "SieveCache",
    "SieveOrder",
    "order_named",
    "policy_named",
]

T = TypeVar("T")

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

_ORDERS: Final[Mapping[str, Callable[[float, Mapping[Any, Marked]], Order]]] = {
    "default": AdaptiveOrder,
    "s3fifo": S3FIFOOrder,
    "sieve": lambda _, items: SieveOrder(items),
    "gdsf": lambda _, items: GreedyDualOrder(items),
    # What hits that take no lock can tell of recency and of frequency: CLOCK is nearly LRU, and frequency
    # that ages is better than plain LFU, which never forgets (Arlitt et al., "Evaluating Content Management
    # Techniques for Web Proxy Caches", 1999).
    "lru": lambda size, items: S3FIFOOrder(size, items, small=0, promote_at=1),
    "lfu": lambda _, items: GreedyDualOrder(items, is_weighed=False),
    "fifo": lambda _, items: FIFOOrder(items),
    "random": lambda _, items: RandomOrder(items),
}


def order_named(name: str, size: float, items: Mapping[Any, Marked]) -> Order:
    """Return an empty order, for a cache whose hits take no lock.

    Args:
        name: Which one; the names are those of `POLICIES`.
        size: What the keys may weigh together.
        items: What the cache holds by key; see `Order`.

    Raises:
        ConfigurationError: If there is no order of that name.
    """
    return _named(_ORDERS, name)(size, items)


def policy_named(name: str, size: int) -> Policy:
    """Return an empty policy.

    Args:
        name: Which one, such as "lru"; one of `POLICIES`.
        size: Bytes that the keys and values under it may weigh together.

    Raises:
        ConfigurationError: If there is no policy of that name.
    """
    return _named(POLICIES, name)(size, getsizeof=int)


def _named(choices: Mapping[str, T], name: str) -> T:
    try:
        return choices[name]
    except KeyError:
        raise ConfigurationError(f"policy must be one of {', '.join(choices)}, got {name!r}") from None
