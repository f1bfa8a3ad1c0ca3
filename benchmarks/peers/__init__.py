"""Other caches in memory, each behind the same few attributes; one module for each kind."""

from typing import Final

from benchmarks.peers.awaited import Aiocache, Cashews
from benchmarks.peers.base import Peer
from benchmarks.peers.builtin import Dict, LruCache
from benchmarks.peers.compiled import Cachebox, Theine
from benchmarks.peers.frameworks import Cachelib, DjangoLocMem, Dogpile
from benchmarks.peers.greencache_l1 import GreencacheL1
from benchmarks.peers.layered import Cachka, DiskCache
from benchmarks.peers.pure import CachetoolsLRU, CachetoolsTTL

__all__ = ["PEERS", "Peer"]

PEERS: Final[tuple[type[Peer], ...]] = (
    GreencacheL1, Dict, LruCache, CachetoolsLRU, CachetoolsTTL, Cachebox, Theine, Dogpile, DjangoLocMem,
    Cachelib, DiskCache, Cachka, Aiocache, Cashews,
)  # fmt: skip
"""Who is compared."""
