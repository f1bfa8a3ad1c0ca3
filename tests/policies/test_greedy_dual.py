"""GreedyDual-Size-Frequency: what an entry's hits are worth for the room they take."""

import random

from greencache.policies import GDSFCache, LRUCache


def test_what_is_dear_to_load_outlives_what_is_cheap():
    """Ten times the cost, the same size and hits."""
    cache = GDSFCache(3, getcost=lambda value: value)
    cache.update({"dear": 1.0, "cheap": 0.1, "middle": 0.5})
    assert [cache.popitem()[0] for _ in range(3)] == ["cheap", "middle", "dear"]


def test_what_is_large_goes_before_what_is_small():
    """The same cost and hits."""
    cache = GDSFCache(10, getsizeof=lambda value: value)
    cache.update({"small": 1, "large": 6, "middle": 3})
    assert [cache.popitem()[0] for _ in range(3)] == ["large", "middle", "small"]


def test_what_was_hit_outlives_what_was_not():
    """And of equals, the first to come goes first."""
    cache = GDSFCache(3)
    cache.update({"a": 1, "b": 2, "c": 3})
    cache["a"]
    assert [cache.popitem()[0] for _ in range(3)] == ["b", "c", "a"]


def test_a_key_that_was_popular_once_does_not_stay_for_ever():
    """New keys start with what the last victim was worth."""
    cache = GDSFCache(10)
    cache["once"] = 0
    for _ in range(3):
        cache["once"]
    for number in range(1000):
        cache[number] = number
    assert "once" not in cache


def test_costs_are_saved_that_lru_does_not_save():
    """Requests for cheap and dear values alike: the sum of what the misses cost is what counts."""
    chance = random.Random(7)
    keys = chance.choices(range(600), [1 / (rank + 1) for rank in range(600)], k=20_000)
    costs = [chance.choice([0.001, 1.0]) for _ in range(600)]
    caches = [GDSFCache(60, getcost=costs.__getitem__), LRUCache(60)]
    spent = [0.0, 0.0]
    for key in keys:
        for number, cache in enumerate(caches):
            if key in cache:
                cache[key]
            else:
                spent[number] += costs[key]
                cache[key] = key
    assert spent[0] < 0.8 * spent[1]
