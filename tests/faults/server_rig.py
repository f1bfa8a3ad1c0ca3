"""One Redis with something wrong, a cache in front of it under load, and stock redis-py beside."""

import contextlib
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import pytest
import redis

from greencache import CacheManager
from greencache.config import CacheConfig
from greencache.testing import wait_until
from greencache.testing.proxy import TcpProxy
from tests.faults.failover_load import FailoverLoad
from tests.faults.figures import only_in_a_long_run
from tests.faults.stock_readers import StockReaders, stock_client
from tests.faults.stopwatch import Metronome

__all__ = ["DEADLINE", "TIMEOUT", "Fault", "Rig", "Suffered", "parameters", "suffer"]

TIMEOUT, DEADLINE = 0.3, 1.0
"""Seconds that a server may take for one answer, and that a call of a tier may take with all its attempts."""
LEASE_TTL = 1.0
_GRACE = 1.0
"""Seconds that a read may take beyond its deadlines, for what a busy machine may need."""


class TimedNotes:
    """Keeps when a cache has told of what."""

    def __init__(self):
        self.events = []

    def record(self, event):
        """Keep an event, and when it came."""
        self.events.append((time.monotonic(), event))

    def seconds_until(self, kind, moment):
        """Return the seconds from a moment to the next event of a kind; `None` if there was none."""
        return next(
            (at - moment for at, each in list(self.events) if each.kind == kind and at > moment), None
        )

    def count(self, kind, moment):
        """Return how many events of a kind there were since a moment."""
        return sum(each.kind == kind and at > moment for at, each in list(self.events))


class Rig:
    """A server, and the ways to it: one for caches and one for stock redis-py, with the same faults.

    Args:
        new_server: Starts a Redis server.
        stack: Closes what was made.
        fault: What it is for.
        seconds: How long that will last.
    """

    def __init__(self, new_server, stack, fault, seconds):
        self.stack = stack
        self.fault, self.seconds = fault, seconds
        self.new_server = new_server
        self.server = new_server(**fault.options)
        self.urls = [self.server.url] * 2
        self.proxies = []
        if fault.is_proxied:
            target = ("127.0.0.1", self.server.port)
            self.proxies = [stack.enter_context(TcpProxy(target)) for _ in self.urls]
            self.urls = [proxy.url_for(self.server.url) for proxy in self.proxies]
        self.notes = TimedNotes()
        self._calm = threading.Event()
        fault.prepare(self)

    def cache(self):
        """Return a cache over the server alone, without L1, so that every read is one of the server."""
        # A server that takes no writes does not let go of leases either: others wait until they end.
        times = {"timeout": TIMEOUT, "deadline": DEADLINE, "connect_timeout": TIMEOUT, "lease_ttl": LEASE_TTL}
        l3 = {"url": self.urls[0]} | times
        config = CacheConfig.model_validate({"namespace": "rig", "l1": {"enabled": False}, "l3": l3})
        cache = CacheManager.from_config(config, recorder=self.notes)
        return self.stack.enter_context(cache).initialize(strict=True)

    def stock(self):
        """Return threads that read through redis-py with its defaults."""
        # Not closed: a call that hangs ends with its server, after this.
        client = stock_client(self.urls[1])
        with self.admin() as admin:
            return StockReaders(client, admin)

    def admin(self):
        """Return a client past the proxies."""
        return redis.Redis.from_url(self.server.url, socket_timeout=10, decode_responses=True)

    def ask(self, *command):
        """Return what the server answers, past the proxies."""
        with self.admin() as client:
            return client.execute_command(*command)

    def on_proxies(self, **faults):
        """Set attributes of both proxies, those of replies with `replies_` before their names."""
        for proxy in self.proxies:
            for name, value in faults.items():
                holder = proxy.replies if name.startswith("replies_") else proxy
                setattr(holder, name.removeprefix("replies_"), value)

    def drop(self):
        """End all connections through the proxies."""
        for proxy in self.proxies:
            proxy.drop()

    def heal(self):
        """End whatever is wrong with the proxies, and what is done again and again."""
        self._calm.set()
        for proxy in self.proxies:
            proxy.heal()
        self.drop()

    def connects(self):
        """Return how many connections caches and stock redis-py have opened so far."""
        return [proxy.accepted for proxy in self.proxies]

    def again_and_again(self, action, pause):
        """Do something until `rest`, with a pause of some seconds in between."""

        def run():
            while not self._calm.wait(pause):
                with contextlib.suppress(redis.RedisError):  # it may be the server's turn to be away
                    action()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.stack.callback(thread.join, 10)
        self.stack.callback(self._calm.set)


def _nothing(_):
    pass


class Fault(NamedTuple):
    """Something that goes wrong with a server.

    Args:
        scenario: Its number.
        how: What happens.
        harm: Does it to a rig.
        heal: Ends it.
        seconds: How long it lasts.
        longer: How long it lasts in a long run.
        is_proxied: Whether it is done to the ways, and not to the server.
        options: Of the server.
        prepare: Is done to a rig before anything else.
        back: Seconds after its end by which keys are found again.
        in_short_runs: Whether it comes in each run.
    """

    scenario: str
    how: str
    harm: Callable[[Rig], object]
    heal: Callable[[Rig], object]
    seconds: float = 0.8
    longer: float = 3.0
    is_proxied: bool = False
    options: dict = {}  # noqa: RUF012 -- never changed
    prepare: Callable[[Rig], object] = _nothing
    back: float = 8.0
    in_short_runs: bool = False

    def __str__(self):
        return f"{self.scenario}-{self.how.replace(' ', '-')}"


class Suffered(NamedTuple):
    """What came of a fault.

    Args:
        load: What was read and invalidated through caches.
        stock: What was read through stock redis-py.
        harmed: When the fault began.
        healed: When it ended.
        connects: How many connections caches and stock redis-py have opened meanwhile, through proxies.
        machine: Knows for how long all of them were kept from running.
    """

    load: FailoverLoad
    stock: StockReaders
    harmed: float
    healed: float
    connects: list
    machine: Metronome


def suffer(rig, figure, is_long):
    """Let a fault come and go under load, note what came of it, and return that."""
    fault, load = rig.fault, FailoverLoad(rig.cache(), rig.cache())
    with Metronome() as machine, load, rig.stock() as stock:
        wait_until(lambda: len(load.hits) > 20 and stock.found, deadline=30, reason="keys are found")
        harmed, before = time.monotonic(), rig.connects()
        fault.harm(rig)
        load.run(max(0.0, harmed + rig.seconds - time.monotonic()))
        connects = [now - then for now, then in zip(rig.connects(), before, strict=True)]
        fault.heal(rig)
        healed = time.monotonic()
        wait_until(lambda: load.hits_again(healed), deadline=30, reason="keys are found again")
        load.run(0.2)
        if is_long:  # stock redis-py may take longer, and is waited for just that long
            with contextlib.suppress(AssertionError):
                wait_until(lambda: stock.found_again(healed), deadline=5, reason="stock redis-py is back")
    suffered = Suffered(load, stock, harmed, healed, connects, machine)
    _note(figure, fault, suffered)
    _note_stock(figure, fault, suffered)
    if rig.proxies:
        ours, theirs = (count / rig.seconds for count in connects)
        # Two caches, each with a listener beside its pool.
        figure(fault.scenario, f"{fault.how}: connections opened", ours, "1/s", "<= 60")
        figure(fault.scenario, f"stock redis-py: {fault.how}: connections opened", theirs, "1/s")
    return suffered


def _note(figure, fault, suffered):
    load, scenario, how = suffered.load, fault.scenario, fault.how
    made = {"reads": len(load.calls), "invalidations": load.invalidated, "queued": load.queued}
    figure(scenario, f"{how}: wrong values", len(load.wrong), "reads", "== 0", **made)
    figure(scenario, f"{how}: errors", len(load.errors), "reads", "== 0", seen=load.errors[:3])
    figure(scenario, f"{how}: stale reads", len(load.stale), "reads", "== 0", seen=load.stale[:5])
    machine, harmed, healed = suffered.machine, suffered.harmed, suffered.healed
    seen, longest = load.longest_call(harmed), load.longest_call_on(machine, harmed)
    figure(scenario, f"{how}: longest read", longest, "s", f"<= {3 * DEADLINE + _GRACE}", with_pauses=seen)
    figure(scenario, f"{how}: longest time without hits", load.longest_gap(harmed), "s")
    again = load.hits_again(healed)
    back = machine.without_pauses(healed, healed + again)
    figure(scenario, f"{how}: hits return after", back, "s", f"<= {fault.back}", with_pauses=again)


def _note_stock(figure, fault, suffered):
    stock, name = suffered.stock, f"stock redis-py: {fault.how}"
    found = stock.found_again(suffered.healed)
    detail = {"seen": stock.errors[:3], "values_return_after": found, "calls": len(stock.calls)}
    figure(fault.scenario, f"{name}: errors", len(stock.errors), "reads", **detail)
    figure(fault.scenario, f"{name}: longest read", stock.longest_call(suffered.harmed), "s", **detail)
    if stock.wrong:
        figure(fault.scenario, f"{name}: wrong values", len(stock.wrong), "reads", **detail)


def parameters(faults):
    """Return the parameters of a test that goes through faults."""
    return [
        pytest.param(fault, id=str(fault), marks=() if fault.in_short_runs else only_in_a_long_run)
        for fault in faults
    ]
