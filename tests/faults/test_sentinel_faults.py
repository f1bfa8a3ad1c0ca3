"""Failovers by Sentinel under load: nothing wrong, nothing old, nobody waits for long."""

import contextlib
import time

import pytest
import redis

from greencache import CacheManager
from greencache.testing import wait_until
from tests.faults.failover_load import FailoverLoad
from tests.faults.stock_readers import StockReaders, StockWriter, stock_client
from tests.faults.stopwatch import Metronome

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

DEADLINE = 1.0
GRACE = 1.0
"""Seconds that a call may take beyond its deadlines, for what a busy machine may need."""


@pytest.fixture
def new_cache(tmp_path):
    """Make caches over one shared Redis, as of processes of their own, with short time-outs."""
    with contextlib.ExitStack() as stack:

        def make(url):
            config = tmp_path / "greencache.yaml"
            config.write_text(
                "namespace: failover\nl1:\n  enabled: false\n"
                f"l3:\n  url: {url}\n  timeout: 0.3\n  deadline: {DEADLINE}\n"
            )
            return stack.enter_context(CacheManager.from_config(config)).initialize(strict=True)

        yield make


def questions_of(cache):
    """Return how often a cache has asked sentinels: of itself, and at once when one announces something."""
    return cache._engine.stack.shared[0].tier._manager._servers.news._finder.questions


FAULTS = {
    "36": ("killed", lambda servers, primary: primary.kill()),
    "37": ("hung", lambda servers, primary: primary.pause()),
    "38": ("left", lambda servers, primary: servers.sentinels[0].execute("SENTINEL", "FAILOVER", "mymaster")),
}


@pytest.mark.parametrize("scenario", FAULTS)
def test_a_failover_under_load(redis_sentinels, new_cache, figure, is_long, scenario):
    """The former primary comes back while the load goes on."""
    how, harm = FAULTS[scenario]
    servers = redis_sentinels()
    started = time.monotonic()
    caches = new_cache(servers.url), new_cache(servers.url)
    load = FailoverLoad(*caches)
    with redis.Redis.from_url(servers.primary.url) as admin:
        stock = StockReaders(stock_client(servers.url), admin)
    with Metronome() as machine, load, stock, StockWriter(stock_client(servers.url)) as writer:
        wait_until(lambda: len(load.hits) > 50, deadline=30, reason="keys are found")
        primary, harmed = servers.primary, time.monotonic()
        harm(servers, primary)
        servers.await_failover(primary)
        promoted = time.monotonic()
        wait_until(lambda: load.hits_again(promoted), deadline=30, reason="keys are found again")
        load.run(10 if is_long else 2)
        gap = stock.longest_gap(harmed)
        servers.heal()
        load.run(10 if is_long else 2)
    with redis.Redis.from_url(servers.primary.url) as admin:
        lost = writer.lost(admin)
    took = {"reads": len(load.calls), "invalidations": load.invalidated, "queued": load.queued}
    figure(scenario, f"Sentinel, {how}: wrong values", len(load.wrong), "reads", "== 0", **took)
    figure(scenario, f"Sentinel, {how}: errors", len(load.errors), "reads", "== 0", seen=load.errors[:3])
    figure(scenario, f"Sentinel, {how}: stale reads", len(load.stale), "reads", "== 0", seen=load.stale[:5])
    longest, seen = load.longest_call_on(machine, harmed), load.longest_call(harmed)
    most = f"<= {3 * DEADLINE + GRACE}"
    figure(scenario, f"Sentinel, {how}: longest read", longest, "s", most, with_pauses=seen)
    first = load.hits_again(promoted)
    taken = machine.without_pauses(promoted, promoted + first)
    figure(scenario, f"Sentinel, {how}: hits after promotion", taken, "s", "<= 2.0", with_pauses=first)
    gap_of_hits, seen = load.longest_gap_on(machine, harmed), load.longest_gap(harmed)
    figure(
        scenario, f"Sentinel, {how}: longest time without hits", gap_of_hits, "s", "<= 10", with_pauses=seen
    )
    bound = "<= 0.3" if is_long else ""
    figure("P11", f"{how}: first hit after promotion", taken, "s", bound, with_pauses=first)
    beyond = max(questions_of(cache) for cache in caches) - (time.monotonic() - started)
    figure("P12", f"{how}: questions to sentinels beyond one a second", beyond, "questions", "<= 5")
    name = f"stock redis-py: Sentinel, {how}"
    figure(scenario, f"{name}: errors", len(stock.errors), "reads", seen=stock.errors[:3])
    figure(scenario, f"{name}: longest time without values", gap, "s")
    figure(scenario, f"{name}: acknowledged writes lost", lost, "writes", of=len(writer.acknowledged))


def test_all_sentinels_gone_under_load(redis_sentinels, new_cache, figure, is_long):
    """Nobody notices."""
    servers = redis_sentinels()
    load = FailoverLoad(new_cache(servers.url), new_cache(servers.url))
    with redis.Redis.from_url(servers.primary.url) as admin:
        stock = StockReaders(stock_client(servers.url), admin)
    with Metronome() as machine, load, stock:
        wait_until(lambda: len(load.hits) > 50, deadline=30, reason="keys are found")
        gone = time.monotonic()
        for sentinel in servers.sentinels:
            sentinel.kill()
        load.run(1)
        if is_long:  # who must connect anew finds nobody to ask
            servers.primary.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        load.run(2)
    figure("41", "stock redis-py: errors", len(stock.errors), "reads", seen=stock.errors[:2])
    figure("41", "wrong, stale or failed reads", len(load.wrong + load.stale + load.errors), "reads", "== 0")
    figure("41", "invalidations that had to wait", load.queued, "drops", "== 0", of=load.invalidated)
    gap, seen = load.longest_gap_on(machine, gone), load.longest_gap(gone)
    figure("41", "longest time without hits", gap, "s", "<= 1.0", with_pauses=seen)


def test_a_dead_and_a_hung_sentinel(redis_sentinels, new_cache, figure, is_long):
    """A cache that starts waits for the hung one once."""
    servers = redis_sentinels()
    servers.sentinels[0].kill()
    servers.sentinels[1].pause()
    with Metronome() as machine:
        start = time.monotonic()
        assert new_cache(servers.url).get_or_load("key", lambda: 1) == 1
        end = time.monotonic()
    taken = machine.without_pauses(start, end)
    figure("40", "start and first read of a cache", taken, "s", "<= 2.5", with_pauses=end - start)
    if is_long:  # it takes its time
        start = time.monotonic()
        stock_client(servers.url).get("key")
        figure("40", "stock redis-py: first read", time.monotonic() - start, "s")
