"""What the machine has found, each in the smallest form."""

from greencache import CacheManager, current_load


def test_a_loader_of_a_key_remembered_as_missing_runs_in_a_load():
    """It may remark on its load, is counted, and what it finds is kept."""
    cache = CacheManager()
    assert cache.get_or_load_many(["k"], lambda _: {}, negative_ttl=60.0) == {}

    def load():
        current_load().tags.add("t")
        return 1

    assert cache.get_or_load("k", load) == 1
    assert cache.get("k") == 1
    assert cache.get_stats().loads.loads == 2
