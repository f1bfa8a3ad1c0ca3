"""Eviction policies of L1: each a `cachetools.Cache` from a key to its weight in bytes."""

from collections.abc import Callable

from cachetools import Cache, LRUCache

from greencache.errors import ConfigurationError
from greencache.typing import Key

__all__ = ["LRUCache", "Policy", "policy_named"]

Policy = Cache[Key, int]

_POLICIES: dict[str, Callable[[int], Policy]] = {
    "lru": lambda size: LRUCache(size, getsizeof=int),
}


def policy_named(name: str, size: int) -> Policy:
    """Return an empty policy.

    Args:
        name: Which one: "lru".
        size: Bytes that the keys and values under it may weigh together.

    Raises:
        ConfigurationError: If there is no policy of that name.
    """
    try:
        return _POLICIES[name](size)
    except KeyError:
        raise ConfigurationError(f"policy must be one of {', '.join(_POLICIES)}, got {name!r}") from None
