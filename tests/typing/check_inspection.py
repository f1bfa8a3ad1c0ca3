"""Type-checked, never run: what type checkers see of looks at a cache."""

from typing import Any, assert_type

from greencache import CacheManager, CacheTier
from greencache.inspection import Explanation, TierFinding

cache = CacheManager()

assert_type(cache.invalidate("a", tags=["t"]), int)
assert_type(cache.invalidate("a", dry_run=False), int)
assert_type(cache.invalidate("a", pattern="a*", dry_run=True), dict[CacheTier, int])
assert_type(cache.explain("a"), Explanation)
assert_type(cache.explain("a")["L1"], TierFinding)
assert_type(cache.explain("a").as_dict(), dict[str, Any])
cache.explain("a").answered_by = None  # type: ignore[misc]
