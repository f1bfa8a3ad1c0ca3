"""Failovers and moving slots of a Cluster under load: nothing wrong, nothing old, nobody waits for long."""

import contextlib
import itertools
import threading
import time

import pytest

from greencache import CacheManager
from greencache.testing import wait_until
from tests.faults.failover_load import FailoverLoad
from tests.faults.figures import IS_LONG
from tests.faults.stock_readers import StockReaders, stock_client
from tests.faults.stopwatch import Metronome

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

DEADLINE = 1.0
GRACE = 1.0
"""Seconds that a call may take beyond its deadlines, for what a busy machine may need."""


@pytest.fixture
def new_cache(tmp_path):
    """Make caches over one shared Redis, as of processes of their own, with short time-outs."""
    with contextlib.ExitStack() as stack:

        def make(url, timeout=0.3):
            config = tmp_path / "greencache.yaml"
            config.write_text(
                "namespace: failover\nl1:\n  enabled: false\n"
                f"l3:\n  url: {url}\n  timeout: {timeout}\n  deadline: {DEADLINE}\n"
            )
            return stack.enter_context(CacheManager.from_config(config)).initialize(strict=True)

        yield make


@pytest.fixture
def servers(redis_clusters):
    """A Cluster of this test's own."""
    return redis_clusters()


@pytest.fixture
def load(servers, new_cache):
    """Reads and invalidations, once it is entered."""
    return FailoverLoad(new_cache(servers.url), new_cache(servers.url))


FAULTS = {
    "46": ("killed", lambda servers, primary: primary.kill()),
    "47": ("hung", lambda servers, primary: primary.pause()),
    "48": ("left", lambda servers, primary: servers.replicas_of(primary)[0].execute("CLUSTER", "FAILOVER")),
}


@pytest.mark.parametrize("holds_bus", [False, True], ids=["values", "bus"])
@pytest.mark.parametrize("scenario", FAULTS)
def test_a_failover_under_load(servers, load, figure, scenario, holds_bus):
    """Of a node that has only values, and of the one that has the stamps and the bus too."""
    how, harm = FAULTS[scenario]
    primary = servers.slot_owner("gc:b:{failover}")
    if not holds_bus:
        primary = next(each for each in servers.primaries if each is not primary)
    what = f"{how}, with the bus" if holds_bus else how
    with Metronome() as machine, load, stock_beside(servers, is_measured=not holds_bus) as stock:
        wait_until(lambda: len(load.hits) > 50, deadline=30, reason="keys are found")
        harmed = time.monotonic()
        harm(servers, primary)
        servers.await_failover(primary)
        promoted = time.monotonic()
        load.run(2)
        servers.heal()
        load.run(2)
    note(figure, scenario, what, load)
    note_stock(figure, scenario, what, stock, harmed)
    bounds = (3 * DEADLINE + GRACE, 10)
    note_times(figure, scenario, what, load, machine=machine, since=harmed, bounds=bounds)
    again = load.hits_again(promoted)
    back = machine.without_pauses(promoted, promoted + again)
    figure(scenario, f"{what}: hits after promotion", back, "s", "<= 2.0", with_pauses=again)


def test_slots_are_moved_under_load(servers, new_cache, figure):
    """Those of some keys, from one node to the next, again and again."""
    # All nodes are there: one that a busy machine keeps from answering for a moment is not to be left alone.
    load = FailoverLoad(*(new_cache(servers.url, timeout=DEADLINE) for _ in range(2)))
    names = [f"gc:v:{{failover:key{number}}}" for number in range(12)]
    with Metronome() as machine, load, stock_beside(servers) as stock:
        wait_until(lambda: len(load.hits) > 50, deadline=30, reason="keys are found")
        began = time.monotonic()
        for name in names:
            owner = servers.slot_owner(name)
            places = itertools.cycle(servers.primaries)
            target = next(place for place in places if place is owner) and next(places)
            servers.migrate_slot(servers.slot_of(name), target)
        load.run(1)
    note(figure, "49", "moved", load)
    note_stock(figure, "49", "moved", stock, began)
    bounds = (DEADLINE + GRACE, 1.0)
    note_times(figure, "49", "moved", load, machine=machine, since=began, bounds=bounds)


def test_a_load_whose_slot_is_being_moved_keeps_nobody_waiting(servers, new_cache, figure):
    """Its value cannot be stored, being on the one node, where its lease is on the other: others load it."""
    one, other = new_cache(servers.url), new_cache(servers.url)
    name = "gc:v:{failover:key}"
    owner = servers.slot_owner(name)
    target = next(each for each in servers.primaries if each is not owner)
    migration = servers.migration(servers.slot_of(name), target)
    may_end, took = threading.Event(), []

    def load():
        assert may_end.wait(30)
        return "loaded"

    def wait():
        assert other.get_or_load("key", lambda: "loaded again") == "loaded again"
        took.append(time.monotonic() - ended)

    threads = [threading.Thread(target=one.get_or_load, args=("key", load)), threading.Thread(target=wait)]
    for thread, part in zip(threads, ("l", "w"), strict=True):
        thread.start()
        wait_until(
            lambda part=part: owner.execute("EXISTS", name.replace(":v:", f":{part}:")),
            deadline=10,
            reason="one loads, the other has noted that it waits",
        )
    migration.begin()
    ended = time.monotonic()
    may_end.set()
    for thread in threads:
        thread.join(30)
    figure("49", "halfway: who waits for a load", took[0], "s", f"<= {GRACE}")
    # By now the lease is where a new value is, so it can be stored, even if the move never goes on.
    assert other.get_or_load("key", lambda: "loaded once more") == "loaded again"
    migration.move_keys()
    migration.finish()
    assert one.get_or_load("key", lambda: "loaded once more") == "loaded again"


@contextlib.contextmanager
def stock_beside(servers, *, is_measured=IS_LONG):
    """Read through stock redis-py in the same scenario, where there is time for that."""
    if not (is_measured and IS_LONG):
        yield None
        return
    with stock_client(servers.url) as client, StockReaders(client, client) as stock:
        yield stock


def note_stock(figure, scenario, what, stock, moment):
    """Note what stock redis-py has done meanwhile; nothing is asked of it."""
    if stock is not None:
        name, detail = f"stock redis-py: {what}", {"seen": stock.errors[:3], "calls": len(stock.calls)}
        figure(scenario, f"{name}: errors", len(stock.errors), "reads", **detail)
        figure(scenario, f"{name}: longest read", stock.longest_call(moment), "s", **detail)
        figure(scenario, f"{name}: longest time without values", stock.longest_gap(moment), "s", **detail)


def note_times(figure, scenario, what, load, *, machine, since, bounds):
    """Note for how long reads and hits were waited for since a moment; of both there is a bound."""
    longest_read, longest_gap = bounds
    read, gap = load.longest_call_on(machine, since), load.longest_gap_on(machine, since)
    seen = load.longest_call(since), load.longest_gap(since)
    figure(scenario, f"{what}: longest read", read, "s", f"<= {longest_read}", with_pauses=seen[0])
    figure(scenario, f"{what}: longest time without hits", gap, "s", f"<= {longest_gap}", with_pauses=seen[1])


def note(figure, scenario, what, load):
    """Note what must not happen in any scenario."""
    took = {"reads": len(load.calls), "invalidations": load.invalidated, "queued": load.queued}
    figure(scenario, f"{what}: wrong values", len(load.wrong), "reads", "== 0", **took)
    figure(scenario, f"{what}: errors", len(load.errors), "reads", "== 0", seen=load.errors[:3])
    figure(scenario, f"{what}: stale reads", len(load.stale), "reads", "== 0", seen=load.stale[:5])
