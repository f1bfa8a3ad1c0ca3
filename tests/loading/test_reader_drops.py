"""A stale value that was dropped is not served for slowness to who asks later."""

import pytest

from greencache import MISSING, CacheManager
from greencache.testing import wait_until
from tests.loading.loaders import ask, await_waiting, hear

AT_ONCE = 0.01
STALE = {"ttl": 0.001, "stale_ttl": 3600.0}

FORGETTING = {
    "key": lambda cache: cache.invalidate("k"),
    "pattern": lambda cache: cache.invalidate(pattern="k*"),
    "tag": lambda cache: cache.invalidate(tags=["t"]),
    "clear": lambda cache: cache.clear(),
    "set": lambda cache: cache.set("k", "set", ttl=1000),
}


@pytest.mark.parametrize("how", FORGETTING)
@pytest.mark.parametrize("where", ["memory", "here", "elsewhere"])
def test_a_stale_value_that_was_dropped_is_not_served_to_who_asks_later(pair, loader, how, where):
    """Though the load that it was offered for goes on."""
    if where == "memory":
        other = cache = CacheManager()
    else:
        cache, other = pair()
        other = cache if where == "here" else other
    cache.set("k", "old", tags=["t"], **STALE)
    wait_until(lambda: cache.get("k") is None, reason="the value has expired")
    before = ask(cache.get_or_load, "k", loader, tags=["t"], soft_timeout=AT_ONCE)
    assert before.result(10) == "old"
    FORGETTING[how](other)
    if other is not cache:
        hear(cache, other)
    later = ask(cache.get_or_load, "k", lambda: "newer", tags=["t"], soft_timeout=0)
    if where != "memory" and how in {"tag", "clear"}:
        # These touch no key, and so no lease: what the older load brings is waited for, and then absent.
        await_waiting(cache, "k")
        loader.release()
    assert later.result(10) == ("set" if how == "set" else "newer")
    loader.release()
    wait_until(lambda: not loader_runs(cache), reason="the load has ended")
    assert cache.get("k", MISSING) == ("set" if how == "set" else "newer")


def loader_runs(cache):
    """Return whether a load with a time-out is under way."""
    return bool(cache._engine.reader.foreground._begun)
