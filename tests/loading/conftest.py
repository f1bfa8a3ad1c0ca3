"""Caches over one real server, each as a process of its own would have it."""

import contextlib

import pytest

from greencache import CacheManager
from greencache.build import build
from greencache.config import CacheConfig
from greencache.testing import FakeClock
from tests.loading.loaders import HeldLoader

_SLOW_ENOUGH = 10.0
"""Seconds that a server may take on a busy machine."""


@pytest.fixture
def clock():
    """A clock that stands still."""
    return FakeClock()


@pytest.fixture
def make_cache():
    """Make caches over the servers at given addresses; `{"l3": url}` for a shared Redis."""
    with contextlib.ExitStack() as stack:

        def make(urls, *, lease_ttl=5.0, l1=True, bus=True, **parts):
            server = {"lease_ttl": lease_ttl, "timeout": _SLOW_ENOUGH, "deadline": 2 * _SLOW_ENOUGH}
            settings = {name: server | {"url": url} for name, url in urls.items()}
            settings |= {"namespace": "loading", "l1": {"enabled": l1}, "bus": {"enabled": bus}}
            cache = build(CacheManager, CacheConfig.model_validate(settings), **parts)
            return stack.enter_context(cache).initialize(strict=True)

        yield make


@pytest.fixture
def pair(make_cache, redis_url):
    """Make two caches over one Redis."""

    def make(**options):
        return make_cache({"l3": redis_url}, **options), make_cache({"l3": redis_url}, **options)

    return make


@pytest.fixture
def loader():
    """A loader that is let go at the latest when the test ends."""
    loader = HeldLoader()
    yield loader
    loader.release()
