"""What a task loads in a transaction that has changed something is its caller's alone."""

import asyncio

import pytest

from greencache.loading import seeing_uncommitted
from tests.aio.loaders import HeldLoader, soon


@pytest.mark.parametrize("outcome", ["uncommitted", ValueError("current transaction is aborted")])
def test_a_task_that_has_joined_loads_for_itself(run, cache, outcome):
    """A value or an error: its own caller gets that."""

    async def inside(loader):
        with seeing_uncommitted():
            return await cache.get_or_load("key", loader)

    async def main():
        loader, own = HeldLoader(outcome), HeldLoader("committed")
        own.release.set()
        first = asyncio.create_task(inside(loader))
        await loader.begun.wait()
        second = asyncio.create_task(cache.get_or_load("key", own))
        flight = cache._engine.flights.under_way("key")
        await soon(lambda: len(flight.future._done_callbacks) == 2, "both wait for the load")
        loader.release.set()
        assert await second == "committed"
        assert await asyncio.gather(first, return_exceptions=True) == [outcome]

    run(main())
