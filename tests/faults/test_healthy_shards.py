"""A node of a Cluster is killed: who asks for keys of all nodes goes on reading those of the others."""

import contextlib
import itertools
import random
import threading
import time
from functools import partial

import pytest
import redis

from greencache import CacheManager
from greencache.backends.redis_names import RedisNames
from greencache.testing import wait_until
from tests.faults.figures import only_in_a_long_run
from tests.faults.stock_readers import stock_client

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

NAMES = RedisNames("shards")
KEYS = [f"key{number}" for number in range(60)]
THREADS = 8
WAIT = 0.1
"""Seconds, far beyond what a busy machine costs a read: one that takes longer has waited for the lost node.
Its time is lost for the keys of the others; what the machine costs counts for neither side."""


class Readers:
    """Threads that read keys of all nodes in turn, each its own way.

    Args:
        read: Reads a key.
    """

    def __init__(self, read):
        self._read = read
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(THREADS)]
        self.waits = []
        """When a read that waited began, and when it ended."""
        self.reads = 0

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        wait_until(lambda: self.reads > 1_000, deadline=30, reason="keys are read")
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _run(self, number):
        for key in itertools.cycle(random.Random(number).sample(KEYS, len(KEYS))):
            began = time.monotonic()
            with contextlib.suppress(redis.RedisError, OSError):
                self._read(key)
            ended = time.monotonic()
            self.reads += 1
            if ended > began + WAIT:
                self.waits.append((began, ended))
            if self._stop.is_set():
                return

    def free(self, began, ended, *, since):
        """Return for which part of a time, in %, threads were free to read keys of living nodes.

        Args:
            began: From when on.
            ended: Until when.
            since: Reads that began before this do not count.
        """
        waits = [each for each in self.waits if each[0] >= since]
        lost = sum(max(0.0, min(end, ended) - max(begin, began)) for begin, end in waits)
        return 100 * (1 - lost / (THREADS * (ended - began)))


def shares_kept(servers, read, is_known):
    """Lose a node under load, and return which part of their time readers keep for keys of the others.

    Args:
        servers: A Cluster.
        read: Reads a key.
        is_known: Whether the client knows that the node at a port is lost.

    Returns:
        From the kill, and from when that is known, until a replica is promoted.
    """
    keeper = servers.slot_owner(NAMES.bus)
    gone = next(each for each in servers.primaries if each is not keeper)
    with Readers(read) as readers:
        began = time.monotonic()
        gone.kill()
        wait_until(lambda: is_known(gone.port), deadline=30, reason="the loss is known")
        known = time.monotonic()
        servers.await_failover(gone)
        ended = time.monotonic()
    return readers.free(began, ended, since=0.0), readers.free(known, ended, since=known)


@only_in_a_long_run
def test_healthy_shards_keep_their_throughput(redis_clusters, tmp_path, figure):
    """From the kill until a replica is promoted."""
    servers = redis_clusters()
    config = tmp_path / "greencache.yaml"
    config.write_text(f"namespace: shards\nl1:\n  enabled: false\nl3:\n  url: {servers.url}\n")
    with CacheManager.from_config(config) as cache:
        cache.initialize(strict=True)
        cache.mset(dict.fromkeys(KEYS, "value"))
        nodes = cache._engine.stack.authority.tier._manager._servers.map
        whole, kept = shares_kept(
            servers, cache.get, lambda port: nodes.node(("127.0.0.1", port)).breaker.is_open
        )
    figure("P11", "killed: throughput that healthy shards keep, once it is known", kept, "%")
    figure("P11", "killed: the same, from the kill on", whole, "%")
    servers.heal()
    stock = stock_client(servers.url)
    for key in KEYS:
        wait_until(partial(stock.set, key, "value"), deadline=30, reason="stock redis-py is well again")
    stock_whole, _ = shares_kept(servers, stock.get, lambda _: True)
    figure("P11", "killed: stock redis-py keeps, from the kill on", stock_whole, "%")
    # The 10 % of the catalogue; but what a busy machine takes from eight threads for longer than a tenth of a
    # second counts as lost too, on both sides.
    figure("P11", "killed: lost", 100 - whole, "%", f"<= {max(10.0, (100 - stock_whole) / 2):.1f}")
