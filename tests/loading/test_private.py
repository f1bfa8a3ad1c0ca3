"""What a loader sees, or how it fails, in a transaction that has changed something is its caller's alone."""

import contextlib

import pytest

from greencache import CacheManager, current_load
from greencache.loading import seeing_uncommitted
from greencache.testing import wait_until
from tests.loading.loaders import HeldLoader, ask, await_joined


@pytest.fixture
def cache():
    """A cache in memory, by the machine's own clock, since futures are waited for by that."""
    with CacheManager() as cache:
        yield cache


def declined():
    """Return a value that is not to be stored."""
    current_load().decline()
    return "uncommitted"


async def uncertain():
    """Be no value."""


OUTCOMES = {
    "a value": "uncommitted",
    "declined": declined,
    "an error": ValueError("current transaction is aborted"),
    "nothing that can be kept": uncertain,
}


def ask_inside(cache, loader, **options):
    """Load in a transaction that has changed something, on a thread of its own."""

    def load():
        with seeing_uncommitted():
            return cache.get_or_load("k", loader, **options)

    return ask(load)


@pytest.mark.parametrize("elsewhere", [False, True], ids=["on its own thread", "on another"])
@pytest.mark.parametrize("outcome", OUTCOMES)
def test_whoever_has_joined_loads_for_itself(cache, outcome, elsewhere):
    """Whatever comes of the load; its own caller gets that."""
    loader = HeldLoader(OUTCOMES[outcome])
    inside = ask_inside(cache, loader, **({"hard_timeout": 30.0} if elsewhere else {}))
    loader.await_begun()
    outside = ask(cache.get_or_load, "k", lambda: "committed")
    await_joined(cache, "k", 1 + elsewhere)
    loader.release()
    assert outside.result(10) == "committed"
    if outcome in {"a value", "declined"}:
        assert inside.result(10) == "uncommitted"
    else:
        assert inside.exception(10) is not None
    assert cache.get("k") == "committed"


def test_a_failure_inside_keeps_nobody_else_from_loading(cache, loader):
    """With `retry_after`, what has expired counts as fresh after a failure, but not after this one."""
    cache.set("k", "old", ttl=0.001, stale_ttl=3600.0)
    wait_until(lambda: cache.get("k") is None, reason="the value has expired")
    with seeing_uncommitted(), contextlib.suppress(ValueError):
        failing = HeldLoader(ValueError("aborted"), is_held=False)
        assert cache.get_or_load("k", failing, retry_after=3600.0) == "old"
    assert cache.get_or_load("k", lambda: "committed") == "committed"
