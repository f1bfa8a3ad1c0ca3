"""The host's Redis answers late, the shared one behind it does not: reads pass it by, drops reach it."""

import contextlib
import time

import pytest
import redis

from greencache import CacheManager
from greencache.config import CacheConfig
from greencache.events import EventKind
from greencache.testing import wait_until
from greencache.testing.proxy import TcpProxy
from tests.faults.failover_load import FailoverLoad
from tests.faults.history import percentiles
from tests.faults.server_rig import TimedNotes
from tests.faults.stock_readers import StockReaders, stock_client
from tests.faults.stopwatch import Metronome

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

LATE = 0.2
"""Seconds by which each reply of L2 comes late."""


class Host:
    """The ways to a host's own Redis, for two caches and for stock redis-py; the shared one behind it.

    Args:
        new_server: Starts a Redis server.
        stack: Closes what was made.
    """

    def __init__(self, new_server, stack):
        self._stack = stack
        self._near, self._shared = new_server(), new_server()
        self._proxies = [stack.enter_context(TcpProxy(("127.0.0.1", self._near.port))) for _ in range(2)]
        self.notes = [TimedNotes(), TimedNotes()]
        self.caches = [self._cache(notes) for notes in self.notes]

    def _cache(self, notes):
        url = self._proxies[0].url_for(self._near.url)
        settings = {
            "namespace": "slow",
            "l1": {"enabled": False},
            "l2": {"url": url},
            "l3": {"url": self._shared.url},
        }
        cache = CacheManager.from_config(CacheConfig.model_validate(settings), recorder=notes)
        return self._stack.enter_context(cache).initialize(strict=True)

    def stock(self):
        """Return threads that read the host's Redis through redis-py with its defaults."""
        client = stock_client(self._proxies[1].url_for(self._near.url))
        with redis.Redis.from_url(self._near.url) as admin:
            return StockReaders(client, admin)

    def looks(self):
        """Return how many keys were looked for in L2, by both caches."""
        found = [cache.get_stats()["L2"] for cache in self.caches]
        return sum(each.hits + each.misses for each in found)

    def slow_down(self):
        """Let every reply of L2 come late from now on."""
        for proxy in self._proxies:
            proxy.replies.latency = LATE

    def heal(self):
        """Let replies come in time again."""
        for proxy in self._proxies:
            proxy.heal()

    def seconds_until_all(self, kind, moment):
        """Return the seconds from a moment until both caches have told something; `None` if one has not."""
        found = [notes.seconds_until(kind, moment) for notes in self.notes]
        return None if None in found else max(found)

    def await_all(self, kind, moment):
        """Wait until both caches have told something, and return the seconds from a moment until then."""
        wait_until(lambda: self.seconds_until_all(kind, moment) is not None, deadline=60, reason=str(kind))
        return self.seconds_until_all(kind, moment)


@pytest.fixture
def host(redis_servers):
    """A host with a Redis of its own."""
    with contextlib.ExitStack() as stack:
        yield Host(redis_servers, stack)


def test_a_slow_l2_is_passed_by(host, figure, is_long):
    """Some reads pay for finding out, then one a second at most; nothing is old meanwhile or afterwards."""
    load = FailoverLoad(*host.caches)
    with Metronome() as machine, load, host.stock() as stock:
        wait_until(
            lambda: host.looks() > 500 and stock.found, deadline=30, reason="keys are looked for in L2"
        )
        harmed = time.monotonic()
        host.slow_down()
        noticed = harmed + host.await_all(EventKind.TIER_SLOW, harmed)
        wait_until(lambda: time.monotonic() > noticed + 2 * LATE, reason="reads that began before have ended")
        passing, before = time.monotonic(), host.looks()
        load.run(10 if is_long else 2)
        healed, looked = time.monotonic(), host.looks() - before
        host.heal()
        back = host.await_all(EventKind.TIER_QUICK, healed)
        load.run(0.5)

    def p99(began, ended):
        calls = [(at, at + took) for at, took in list(load.calls) if began < at < ended]
        return percentiles([machine.without_pauses(*call) for call in calls])["p99_ms"]

    made = {"reads": len(load.calls), "invalidations": load.invalidated, "queued": load.queued}
    figure("18", "L2: wrong values", len(load.wrong), "reads", "== 0", **made)
    figure("18", "L2: errors", len(load.errors), "reads", "== 0", seen=load.errors[:3])
    figure("18", "L2: stale reads", len(load.stale), "reads", "== 0", seen=load.stale[:5])
    figure("18", "L2: drops that waited", load.queued, "drops", "== 0")
    figure("18", "L2: noticed after", noticed - harmed, "s")
    figure("18", "L2: p99 until it is noticed", p99(harmed, noticed), "ms")
    # A probe a second of each cache at most, and one that is under way at the beginning.
    figure("18", "L2: looks while it is passed by", looked, "reads", f"<= {2 * (1 + healed - passing)}")
    figure("18", "L2: p99 while it is passed by", p99(passing, healed), "ms", f"<= {1_000 * LATE}")
    figure("18", "L2: read again after", back, "s", "<= 8")
    late = [took for at, took in list(stock.calls) if passing < at < healed]
    figure("18", "stock redis-py: L2: p99", percentiles(late)["p99_ms"], "ms", count=len(late))
