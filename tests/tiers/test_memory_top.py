"""What L1 is used for, and why entries leave it."""

import asyncio

import pytest

from greencache import CacheManager, ConfigurationError, InvalidArgumentError
from greencache.aio import CacheManager as AsyncCacheManager
from greencache.testing import DoubleRedisTier, FakeClock
from greencache.tiers.memory import MemoryTier


def test_top_by_bytes_is_what_takes_most():
    """The largest first, with what else is known of each."""
    clock = FakeClock()
    cache = CacheManager([MemoryTier(clock=clock)], clock=clock)
    for size in (100, 3_000, 2_000):
        cache.set(f"k{size}", "x" * size, ttl=10)
    cache.set("ever", "x", ttl=None)
    cache.l1.pin("k2000")
    clock.advance(4)
    rows = cache.l1.top(3, by="bytes")
    assert [row.key for row in rows] == ["k3000", "k2000", "k100"]
    assert [row.is_pinned for row in rows] == [False, True, False]
    assert 3_000 < rows[0].size < 4_000
    assert rows[0].fresh_for == pytest.approx(6)
    assert cache.l1.top(4, by="bytes")[3].fresh_for is None
    clock.advance(10)
    assert cache.l1.top(1, by="bytes")[0].fresh_for == pytest.approx(-4)


def test_hits_are_counted_where_that_was_asked_for():
    """Whichever way they are read; a miss counts for nothing."""
    cache = CacheManager([MemoryTier(count_hits=True)])
    cache.mset({"a": 1, "b": 2, "c": 3})
    for _ in range(100):
        cache.get("b")
        cache.get("missing")
    for _ in range(7):
        cache.get_or_load("a", dict)
    cache.mget(["a", "c"])
    assert [(row.key, row.hits) for row in cache.l1.top(5)] == [("b", 100), ("a", 8), ("c", 1)]


def test_without_counting_entries_are_told_apart_by_their_marks():
    """Those that the eviction policy will look at, which end at 31."""
    cache = CacheManager()
    cache.mset(dict.fromkeys("abcd", 1))
    for key, hits in {"a": 1, "b": 5, "c": 10, "d": 100}.items():
        for _ in range(hits):
            cache.get(key)
    assert [(row.key, row.hits) for row in cache.l1.top(3)] == [("d", 31), ("c", 10), ("b", 5)]


def test_asking_changes_nothing():
    """Neither hits nor what is evicted next."""
    clock = FakeClock()
    cache = CacheManager([MemoryTier(count_hits=True, clock=clock)], clock=clock)
    cache.set("a", 1)
    before = cache.get_stats()
    assert cache.l1.top() == cache.l1.top()
    assert cache.get_stats() == before


def test_counts_of_keys_that_are_gone_are_forgotten():
    """Else they would grow without end."""
    tier = MemoryTier(50_000, count_hits=True)
    cache = CacheManager([tier])
    for number in range(3_000):
        cache.set(f"k{number}", "x" * 300)
        cache.get(f"k{number}")
    assert len(tier._hits._counts) < 300


@pytest.mark.parametrize(("n", "by"), [(0, "hits"), (True, "hits"), (3, "weight")])
def test_what_cannot_be_ranked_is_refused(n, by):
    """With what was expected."""
    with pytest.raises(InvalidArgumentError):
        CacheManager().l1.top(n, by=by)


def test_a_cache_without_memory_has_no_l1():
    """There is nothing to look after."""
    with pytest.raises(ConfigurationError, match="L1"):
        CacheManager([DoubleRedisTier()]).l1  # noqa: B018


def test_an_event_loop_has_the_same():
    """It is in memory, so nothing is awaited."""

    async def main():
        async with AsyncCacheManager() as cache:
            await cache.set("k", 1)
            assert cache.l1.pin("k")
            assert cache.l1.top(1)[0].is_pinned

    asyncio.run(main())


def test_statistics_say_why_entries_went():
    """Each for one reason; too large ones never came in."""
    clock = FakeClock()
    cache = CacheManager([MemoryTier(8_000, max_entries=4, clock=clock)], clock=clock)
    cache.set("large", "x" * 2_000)
    for number in range(6):
        cache.set(f"k{number}", 1)
    cache.set("a", "x" * 300)
    cache.delete("a")
    assert cache.get_stats()["L1"].removed == {
        "size": 0, "count": 3, "expired": 0, "dropped": 1, "oversize": 1,
    }  # fmt: skip
    small = CacheManager([MemoryTier(8_000, clock=clock)], clock=clock)
    for number in range(100):
        small.set(f"k{number}", "x" * 300, ttl=1)
    assert small.get_stats()["L1"].removed["size"] > 80
    clock.advance(2)
    for _ in range(100):
        small.set("last", 1)
    assert small.get_stats()["L1"].removed["expired"] > 3
    assert small.get_stats().as_dict()["tiers"]["L1"]["removed"]["oversize"] == 0


def test_what_takes_more_than_an_eighth_is_refused():
    """It would evict too much that is worth more; what was there under its key is outdated and goes."""
    cache = CacheManager([MemoryTier(80_000)])
    cache.set("k", "x" * 9_000)
    assert cache.get("k") is not None
    cache.set("k", "x" * 10_001)
    assert cache.get("k") is None
    assert cache.get_stats()["L1"].removed["oversize"] == 1
