"""Caches written in Rust, or with a core that is."""

from collections.abc import Callable
from typing import Any

from benchmarks.peers.base import Peer

__all__ = ["Cachebox", "Theine"]


class Cachebox(Peer):
    """cachebox."""

    name = "cachebox.TTLCache"
    module = "cachebox"
    note = "written in Rust"

    def __init__(self, size: int) -> None:
        import cachebox

        cache: Any = cachebox.TTLCache(size, 3600.0)
        get, insert = cache.get, cache.insert

        def get_or_create(key: str, make: Callable[[], Any]) -> Any:
            found = get(key)
            if found is None:
                insert(key, found := make())
            return found

        self.get, self.set, self.get_or_create = get, insert, get_or_create


class Theine(Peer):
    """theine."""

    name = "theine.Cache"
    module = "theine"
    note = "W-TinyLFU; the policy's core is written in Rust"

    def __init__(self, size: int) -> None:
        import datetime as dt

        from theine import Cache

        cache: Any = Cache(size)
        self._close = cache.close
        ttl = dt.timedelta(hours=1)

        def get(key: str) -> Any:
            value, is_there = cache.get(key)
            return value if is_there else None

        self.get = get
        self.set = lambda key, value: cache.set(key, value, ttl)

    def close(self) -> None:
        """Stop its thread."""
        self._close()
