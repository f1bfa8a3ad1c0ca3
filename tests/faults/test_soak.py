"""For minutes something breaks at random: nothing wrong, nothing old, and nothing piles up."""

import collections
import contextlib
import os
import pathlib
import random
import statistics
import threading
import time
from typing import NamedTuple

import pytest

from greencache import CacheManager
from greencache.config import CacheConfig
from greencache.testing import wait_until
from tests.faults.failover_load import FailoverLoad
from tests.faults.figures import only_in_a_long_run
from tests.faults.nemesis import Nemesis

pytestmark = [pytest.mark.faults, pytest.mark.timeout(400)]

SECONDS = 120.0
WARM_UP = 30.0
MB = 1_000_000


class Sample(NamedTuple):
    """What this process holds at a moment."""

    at: float
    sockets: int
    threads: int
    slots: int
    memory: float


def sample(caches):
    """Return what this process holds now."""
    links = []
    for each in pathlib.Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            links.append(str(each.readlink()))
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    tiers = [tier.tier for cache in caches for tier in cache._engine.stack.shared]
    return Sample(
        time.monotonic(),
        sum("socket:" in link for link in links),
        threading.active_count(),
        sum(len(pool) for tier in tiers for pool in tier._manager.pools),
        pages * os.sysconf("SC_PAGE_SIZE") / MB,
    )


def slope(samples, name):
    """Return by how much something grows in a minute, as of the line that fits best."""
    times = [each.at for each in samples]
    values = [getattr(each, name) for each in samples]
    return 60 * statistics.linear_regression(times, values).slope


@pytest.fixture
def new_cache():
    """Make caches over a host's Redis and a shared one, as of processes of their own."""
    with contextlib.ExitStack() as stack:

        def make(l2, l3):
            limits = {"timeout": 0.3, "deadline": 1.0}
            tiers = {"l2": limits | {"url": l2}, "l3": limits | {"url": l3}}
            config = CacheConfig.model_validate({"namespace": "storm", "l1": {"enabled": False}, **tiers})
            return stack.enter_context(CacheManager.from_config(config)).initialize(strict=True)

        yield make


@only_in_a_long_run
def test_nothing_piles_up(redis_servers, new_cache, figure):
    """Sockets, slots, threads and memory, while servers hang, restart, forget and cut connections."""
    seed = int(os.environ.get("GREENCACHE_TEST_SEED", random.randrange(10**6)))
    hosts, shared = [redis_servers(), redis_servers()], redis_servers()
    caches = [new_cache(host.url, shared.url) for host in hosts]
    load, nemesis, broken = FailoverLoad(*caches), Nemesis(*hosts, shared, seed=seed), collections.Counter()
    load.calls = collections.deque(maxlen=10_000)  # what the test itself keeps must not grow either
    samples = []
    with load:
        began = time.monotonic()
        while time.monotonic() < began + SECONDS:
            broken[nemesis()] += 1
            load.run(random.Random(seed + len(samples)).uniform(0.5, 2.0))
            samples.append(sample(caches))
        wait_until(lambda: load.hits_again(time.monotonic() - 1), deadline=30, reason="keys are found")
    warm = [each for each in samples if each.at > began + WARM_UP]
    of = {"seed": seed, "faults": dict(broken), "samples": len(warm), "first": warm[0], "last": warm[-1]}
    figure("P16", "faults in 2 minutes", broken.total(), "faults", ">= 30", **of)
    figure("P16", f"wrong values, seed {seed}", len(load.wrong), "reads", "== 0")
    figure("P16", "errors", len(load.errors), "reads", "== 0", seen=load.errors[:3])
    figure("P16", "stale reads", len(load.stale), "reads", "== 0", seen=load.stale[:5])
    for name, bound in (("sockets", 6), ("threads", 3), ("slots", 6)):
        figure("P16", f"{name}: growth in a minute", slope(warm, name), "1/min", f"<= {bound}")
    figure("P16", "memory: growth in a minute", slope(warm, "memory"), "MB/min", "<= 5")
