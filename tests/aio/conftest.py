"""Event loops with a deadline, and caches for them."""

import asyncio
import contextlib

import pytest

from greencache.aio import CacheManager
from greencache.config import CacheConfig

_LONGEST = 60.0
_PATIENT_BUS = {"max_staleness": 60.0}
"""On a busy machine, L1 is believed all the same."""


@pytest.fixture
def run():
    """Run a coroutine on an event loop of its own; fail after a minute."""

    def run_on_loop(coroutine, *, debug=None):
        async def in_time():
            async with asyncio.timeout(_LONGEST):
                return await coroutine

        return asyncio.run(in_time(), debug=debug)

    return run_on_loop


@pytest.fixture
def make_cache():
    """Make caches, closed in the end; `l3` is the address of a shared Redis."""
    with contextlib.ExitStack() as stack:

        def make(**options):
            namespace, address = options.pop("namespace", "aio"), options.pop("l3", None)
            settings = {"namespace": namespace, "bus": _PATIENT_BUS}
            if address is not None:
                settings["l3"] = {"url": address, "timeout": 10.0, "deadline": 20.0}
            cache = CacheManager.from_config(CacheConfig.model_validate(settings), **options)
            stack.callback(lambda: asyncio.run(cache.close()))
            # Who listens to the bus for the first time forgets what it has learned before.
            cache.blocking.initialize(strict=True)
            return cache

        yield make


@pytest.fixture(params=["L1", "Redis"])
def cache(request, make_cache):
    """A cache in memory, and one over a real Redis."""
    if request.param == "L1":
        return make_cache()
    return make_cache(l3=request.getfixturevalue("redis_url"))


@pytest.fixture
def shared(make_cache, redis_url):
    """A cache over a real Redis."""
    return make_cache(l3=redis_url)
