"""A loader may confirm a stale value that it was shown, and nothing else."""

import pytest

from greencache import MISSING, NOT_MODIFIED, CacheManager, current_load
from greencache.errors import InvalidArgumentError
from tests.loading.loaders import HeldLoader, ask

STALE = {"ttl": 10, "stale_ttl": 100}


@pytest.fixture
def cache(clock):
    """A cache in memory."""
    with CacheManager(clock=clock) as cache:
        yield cache


def test_a_load_shows_the_stale_value_and_takes_it_confirmed(cache, clock):
    """Then it is fresh for another ttl, with the tags it had."""
    cache.set("k", "old", tags=["t"], **STALE)
    clock.advance(50)
    shown = []

    def load():
        shown.append(dict(current_load().stale))
        return NOT_MODIFIED

    assert cache.get_or_load("k", load, **STALE) == "old"
    assert shown == [{"k": "old"}]
    clock.advance(9)
    assert cache.get("k") == "old"
    cache.invalidate(tags=["t"])
    assert cache.get("k", MISSING) is MISSING


def test_a_confirmed_value_gets_new_tags_and_ttl_too(cache, clock):
    """What the loader says counts for it as for a new value."""
    cache.set("k", "old", tags=["t"], **STALE)
    clock.advance(50)

    def load():
        current_load().ttl = 500
        current_load().tags.add("late")
        return NOT_MODIFIED

    assert cache.get_or_load("k", load, tags=["call"], **STALE) == "old"
    clock.advance(400)
    assert cache.get("k") == "old"
    assert set(cache._engine.peek("k").tags) == {"call", "late", "t"}


def test_what_was_not_shown_cannot_be_confirmed(cache, clock):
    """Nothing is there, or it is gone, or it says that there is nothing."""
    cache.set("gone", "old", ttl=10, stale_ttl=1)
    cache.get_or_load_many(["nothing"], lambda _: {}, negative_ttl=10)
    clock.advance(12)
    for key in ("k", "gone", "nothing"):
        with pytest.raises(InvalidArgumentError, match="NOT_MODIFIED"):
            cache.get_or_load(key, lambda: NOT_MODIFIED)
        assert cache.get(key, MISSING) is MISSING


def test_a_batch_may_confirm_some_and_bring_others(cache, clock):
    """Each key for itself."""
    cache.mset({"a": "old", "b": "old"}, **STALE)
    clock.advance(50)
    found = cache.get_or_load_many(
        ["a", "b", "c"], lambda _: {"a": NOT_MODIFIED, "b": "new", "c": "new"}, **STALE
    )
    assert found == {"a": "old", "b": "new", "c": "new"}
    assert cache.mget(["a", "b", "c"]) == found


def test_a_value_dropped_while_it_is_confirmed_is_not_stored_again(cache, clock):
    """The loader has asked before the drop."""
    cache.set("k", "old", **STALE)
    clock.advance(50)
    loader = HeldLoader(lambda: NOT_MODIFIED)
    answer = ask(cache.get_or_load, "k", loader, **STALE)
    loader.await_begun()
    cache.invalidate("k")
    loader.release()
    assert answer.result(10) == "old"
    assert cache.get("k", MISSING) is MISSING


def test_a_value_whose_tag_went_while_it_is_confirmed_is_not_stored_again(cache, clock):
    """Also when only the stale entry knew the tag."""
    cache.set("k", "old", tags=["t"], **STALE)
    clock.advance(50)
    loader = HeldLoader(lambda: NOT_MODIFIED)
    answer = ask(cache.get_or_load, "k", loader, **STALE)
    loader.await_begun()
    cache.invalidate(tags=["t"])
    loader.release()
    assert answer.result(10) == "old"
    assert cache.get("k", MISSING) is MISSING
