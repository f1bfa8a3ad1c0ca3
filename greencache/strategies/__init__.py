"""Strategies: orders of reading, writing and dropping over tiers that they do not know."""

from greencache.strategies.base import Strategy
from greencache.strategies.cache_aside import CacheAside
from greencache.strategies.descent import Descent, Dropped
from greencache.strategies.write_through import WriteThrough

__all__ = ["CacheAside", "Descent", "Dropped", "Strategy", "WriteThrough"]
