"""Read a Redis from asyncio tasks that are cancelled at random; print what came of it as JSON.

Run by test_interrupts.py in a process of its own, as the others of its kind are.
"""

import asyncio
import gc
import json
import random
import sys

import redis.asyncio

from greencache.aio import CacheManager
from greencache.manager import CacheManager as BlockingManager
from tests.faults.interrupted_client import KEYS, Counts, Quota

TASKS = 20


class _Greencache:
    """The asyncio face of a cache without L1, so that every read comes from the server."""

    def __init__(self, url):
        self._blocking = BlockingManager.from_urls(l1=None, l3=url, namespace="tasks", bus=None)
        self._cache = CacheManager.over(self._blocking)
        self.get = self._cache.get
        self.close = self._cache.close

    async def fill(self, key, value):
        await self._cache.set(key, value)

    async def slots_lost(self):
        pool = self._blocking._engine.stack.shared[0].tier._manager.pools[0]
        for _ in range(100):
            gc.collect()
            if len(pool) == len(pool._idle):
                break
            await asyncio.sleep(0.02)  # what was cancelled last is still under way in its thread
        return len(pool) - len(pool._idle)


class _Stock:
    """redis-py's own asyncio client."""

    def __init__(self, url):
        self._client = redis.asyncio.Redis.from_url(url, decode_responses=True, max_connections=100)
        self.get = self._client.get
        self.fill = self._client.set
        self.close = self._client.aclose

    async def slots_lost(self):
        gc.collect()
        return len(self._client.connection_pool._in_use_connections)


async def read_one(reader, counts):
    """Read a key, as a task that may be cancelled."""
    key = f"key:{random.randrange(KEYS)}"
    try:
        value = await reader.get(key)
    except redis.RedisError:
        counts["errors"] += 1
        return
    counts["reads"] += 1
    counts["wrong"] += value != key


async def read_and_cancel(reader, counts, quota):
    """Read one key after the other, and cancel every other read before it has come to its end."""
    while not quota.is_done():
        task = asyncio.create_task(read_one(reader, counts))
        if random.random() < 0.5:
            await asyncio.sleep(random.uniform(0, 0.001))
            counts["interrupts"] += task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def main(client, url, way, parser, *limits):
    """Return the counts of readers that are cancelled until enough is done."""
    del way, parser  # there is one of each
    reader, quota = {"greencache": _Greencache, "stock": _Stock}[client](url), Quota(*limits)
    for number in range(KEYS):
        await reader.fill(f"key:{number}", f"key:{number}")
    await asyncio.gather(*[read_and_cancel(reader, quota.new_share(), quota) for _ in range(TASKS)])
    total, quiet = quota.total(), Counts()
    for _ in range(200):
        await read_one(reader, quiet)
    total |= {"wrong_afterwards": quiet["wrong"], "slots_lost": await reader.slots_lost()}
    await reader.close()
    return total


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(*sys.argv[1:]))))
