"""What Python has itself."""

import functools
from collections.abc import Callable
from typing import Any

from benchmarks.peers.base import Peer

__all__ = ["Dict", "LruCache"]


class Dict(Peer):
    """No cache at all: what a lookup costs at least."""

    name = "dict"
    module = "builtins"
    note = "has neither bound nor ttl nor lock"
    is_bounded = False

    def __init__(self, size: int) -> None:  # noqa: ARG002 -- it takes whatever comes
        values: dict[str, Any] = {}
        self.get = values.get
        self.set = values.__setitem__


class LruCache(Peer):
    """Memoises a function."""

    name = "functools.lru_cache"
    module = "functools"
    note = "has no ttl and no verbs: a call is the key"

    def __init__(self, size: int) -> None:
        made: list[Callable[[], Any]] = [object]

        @functools.lru_cache(size)
        def function(key: str) -> Any:  # noqa: ARG001 -- the cache's business
            return made[0]()

        def store(key: str, value: Any) -> None:
            made[0] = lambda: value
            function(key)

        self.get = function
        self.set = store
