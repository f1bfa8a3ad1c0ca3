"""No load that began before an invalidation is stored anywhere after it."""

import threading

import pytest

from greencache import MISSING, CacheManager, WriteThrough
from greencache.errors import EncodeError
from greencache.testing import wait_until
from tests.loading.loaders import hear


class SlowLoad:
    """A load that stands still until it is told to go on.

    Args:
        cache: Where to load.
        key: What.
        options: As of `get_or_load`.
    """

    def __init__(self, cache, key="k", **options):
        self.value = MISSING
        self._has_begun = threading.Event()
        self._may_end = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(cache, key, options), daemon=True)
        self._thread.start()
        assert self._has_begun.wait(10), "the loader was not called within 10 s"

    def _run(self, cache, key, options):
        self.value = cache.get_or_load(key, self._load, **options)

    def _load(self):
        self._has_begun.set()
        assert self._may_end.wait(30), "the test has not let the load end within 30 s"
        return "old"

    def finish(self):
        """Let it end and return what its caller got."""
        self._may_end.set()
        self._thread.join(10)
        assert not self._thread.is_alive(), "the load did not end within 10 s"
        return self.value


FORGETTING = {
    "key": lambda cache: cache.invalidate("k"),
    "delete": lambda cache: cache.delete("k"),
    "pattern": lambda cache: cache.invalidate(pattern="k*"),
    "tag": lambda cache: cache.invalidate(tags=["t"]),
    "clear": lambda cache: cache.clear(),
    "write": lambda cache: cache.write("k", "new", lambda _: None),
}


@pytest.mark.parametrize("how", FORGETTING)
def test_a_load_that_began_before_is_not_stored_in_memory(how):
    """Whatever way the key was forgotten."""
    with CacheManager() as cache:
        load = SlowLoad(cache, tags=["t"])
        FORGETTING[how](cache)
        assert load.finish() == "old"
        assert cache.get("k", MISSING) is MISSING
        assert cache.get_stats()["L1"].refused_fills == 1


@pytest.mark.parametrize("where", ["here", "neighbour", "elsewhere"])
@pytest.mark.parametrize("how", FORGETTING)
def test_a_load_that_began_before_is_not_stored_in_any_tier(deep_fleet, how, where):
    """Neither when this process forgets, nor another one on this host or on another."""
    cache, fresh_host = deep_fleet.cache(), deep_fleet.elsewhere()
    other = {"here": cache, "neighbour": deep_fleet.cache(), "elsewhere": fresh_host}[where]
    load = SlowLoad(cache, tags=["t"])
    FORGETTING[how](other)
    hear(cache, other)
    assert load.finish() == "old"
    for reader in (cache, deep_fleet.cache(), deep_fleet.elsewhere(), fresh_host):
        assert reader.get("k", MISSING) is MISSING


@pytest.mark.parametrize("how", FORGETTING)
def test_a_batch_load_that_began_before_is_not_stored(deep_fleet, how):
    """Of a batch, what was forgotten meanwhile is left out; with a key or pattern the rest is stored."""
    cache = deep_fleet.cache()

    def load(keys):
        FORGETTING[how](cache)
        return dict.fromkeys(keys, "old")

    assert cache.get_or_load_many(["k", "other"], load, tags=["t"]) == {"k": "old", "other": "old"}
    reader = deep_fleet.elsewhere()
    assert reader.get("k", MISSING) is MISSING
    if how in {"key", "delete", "pattern", "write"}:
        assert reader.get("other") == "old"


def test_whoever_asks_after_an_invalidation_does_not_join_an_older_load():
    """A caller that starts after `invalidate` has returned gets a load of its own."""
    with CacheManager() as cache:
        load = SlowLoad(cache)
        cache.invalidate("k")
        assert cache.get_or_load("k", lambda: "new") == "new"
        assert load.finish() == "old"
        assert cache.get("k") == "new"


def test_a_promotion_that_began_before_a_drop_is_not_stored(fleet):
    """A reader that has found the old value in L3 does not put it back into L2 and L1."""
    cache, dropper = fleet.cache(), fleet.elsewhere()
    dropper.set("k", "old")
    l3 = cache._engine.stack.shared[-1].tier
    found = l3.get_many

    def find_then_drop(keys):
        entries = found(keys)
        if entries:
            cache.invalidate("k")
        return entries

    l3.get_many = find_then_drop
    assert cache.get("k") == "old"
    l3.get_many = found
    assert cache.get("k", MISSING) is MISSING
    assert fleet.cache().get("k", MISSING) is MISSING


def test_two_writers_leave_one_value_in_all_tiers(fleet):
    """Whoever the deepest tier saw last, no tier above it keeps the other's value."""
    caches = [fleet.cache(), fleet.cache(), fleet.elsewhere()]
    start = threading.Barrier(len(caches))

    def write(cache, name):
        start.wait(10)
        for number in range(60):
            cache.set("k", f"{name}-{number}")

    threads = [threading.Thread(target=write, args=(cache, n)) for n, cache in enumerate(caches)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for cache in caches:
        hear(cache, caches[0])
    truth = fleet.cache(l1=None, l2=None).get("k")
    assert truth is not None
    for cache in (*caches, fleet.cache()):
        wait_until(lambda cache=cache: cache.get("k") == truth, reason=f"every tier holds {truth}")


def test_write_through_stores_what_was_written_everywhere(fleet):
    """And the writer ran first."""
    with CacheManager(strategy=WriteThrough()) as cache:
        order = []
        cache.write("k", "new", lambda value: order.append((value, cache.get("k"))))
        assert order == [("new", None)]
        assert cache.get("k") == "new"


def test_a_write_through_that_cannot_be_encoded_leaves_nothing_old(fleet):
    """The source has the new value, so no tier may keep the old one."""
    cache = fleet.cache(strategy=WriteThrough())
    cache.set("k", "old")
    with pytest.raises(EncodeError):
        cache.write("k", object(), lambda _: None)
    assert cache.get("k", MISSING) is MISSING
    assert fleet.elsewhere().get("k", MISSING) is MISSING


def test_a_set_that_is_ended_half_way_leaves_nothing_old(fleet):
    """Between two tiers the greenlet may be killed: what one tier has is outdated in the others."""
    cache = fleet.cache()
    cache.set("k", "old")
    l2 = cache._engine.stack.shared[0].tier
    fill = l2.fill_many

    def end(entries, leases):
        l2.fill_many = fill
        raise KeyboardInterrupt

    l2.fill_many = end
    with pytest.raises(KeyboardInterrupt):
        cache.set("k", "new")
    assert fleet.cache().get("k", "loaded anew") in {"new", "loaded anew"}
    assert cache.get("k", "loaded anew") in {"new", "loaded anew"}
