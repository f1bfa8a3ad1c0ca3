"""How often a cold miss asks each Redis: counted where commands leave the process."""

import pytest

from benchmarks.round_trips import Trips
from greencache import CacheManager


@pytest.mark.parametrize("verb", ["get_or_load", "get_or_load_many"])
def test_a_cold_miss_takes_two_round_trips_down_and_one_up(redis_servers, verb):
    """In each Redis a look and a lease, which looks again where it decides; then a fill."""
    near, deep = redis_servers(), redis_servers()
    with CacheManager.from_urls(l2=near.url, l3=deep.url, namespace="app") as cache:
        cache.initialize(strict=True)
        cache.get_or_load("first", lambda: 1.0)  # connects, and asks for the stamps
        trips = Trips(near.port, deep.port)
        with trips.counted():
            if verb == "get_or_load":
                cache.get_or_load("a", trips.load)
            else:
                cache.get_or_load_many(["a", "b", "c"], lambda keys: dict.fromkeys(keys, trips.load()))
        assert trips.figures() == {"down": [2, 2], "up": [1, 1]}
        with trips.counted():
            assert cache.get("a") == 1.0
        assert trips.figures() == {"down": [2, 2], "up": [1, 1]}
