"""Stock redis-py clients and threads that read through them, for the figures beside ours."""

import contextlib
import itertools
import threading
import time

import redis

from greencache.backends.redis_deployment import Deployment, Topology

__all__ = ["StockReaders", "StockWriter", "stock_client", "store_values"]

_KEYS = [f"stock:{number}" for number in range(50)]
_CLIENTS = []
"""All, until the end: those that hang cannot be closed, and the collector of garbage would find their sockets
open, in whichever test it runs."""


class StockReaders:
    """Reads keys until it is left; what a call raises is counted, and the thread goes on.

    A call that is still under way counts too, with the time that it has taken so far: some last a minute.

    Args:
        client: What is read from, with its own defaults.
        admin: Stores the values, past all faults.
        threads: How many read.
    """

    def __init__(self, client, admin, threads=4):
        self._client = client
        store_values(admin)
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._read, args=(number,), daemon=True) for number in range(threads)
        ]
        self._under_way = [None] * threads
        self.calls, self.errors, self.wrong, self.found = [], [], [], []
        """When calls began and what they took; what they raised; values of others; when values came."""

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(0.2)  # who hangs is left alone: its server's end frees it

    def longest_call(self, moment):
        """Return the seconds of the longest call that ended after a moment, or has not ended."""
        now = time.monotonic()
        taken = [took for began, took in list(self.calls) if began + took >= moment]
        taken += [now - began for began in self._under_way if began is not None]
        return max(taken, default=0.0)

    def found_again(self, moment):
        """Return after how many seconds a value came again; `None` if none has."""
        return next((at - moment for at in list(self.found) if at >= moment), None)

    def longest_gap(self, moment):
        """Return for how many seconds at most no value came, from a moment on and until now."""
        found = [moment, *sorted(at for at in list(self.found) if at >= moment), time.monotonic()]
        return max(later - earlier for earlier, later in itertools.pairwise(found))

    def _read(self, number):
        while not self._stop.is_set():
            for key in _KEYS:
                began = self._under_way[number] = time.monotonic()
                try:
                    value = self._client.get(key)
                except Exception as error:
                    self.errors.append(repr(error))
                    value = None
                now, self._under_way[number] = time.monotonic(), None
                self.calls.append((began, now - began))
                if value is not None:
                    self.found.append(now)
                    if value != key.encode():
                        self.wrong.append((key, value))
                if self._stop.wait(0.002):
                    return


class StockWriter:
    """Writes one key after the other until it is left, and remembers which were acknowledged.

    Args:
        client: What is written through.
    """

    def __init__(self, client):
        self._client = client
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self.acknowledged = []

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(10)

    def lost(self, admin):
        """Return how many of the acknowledged writes a server has not got."""
        names = list(self.acknowledged)
        return sum(value is None for value in admin.mget(names)) if names else 0

    def _write(self):
        for number in itertools.count():
            name = f"written:{number}"
            with contextlib.suppress(redis.RedisError, OSError):
                self._client.set(name, number)
                self.acknowledged.append(name)
            if self._stop.wait(0.001):
                return


def store_values(admin):
    """Store what is read.

    Args:
        admin: A client past all faults.
    """
    for key in _KEYS:  # one by one: those of a Cluster lie on several nodes
        admin.set(key, key)


def stock_client(url, **options):
    """Return a client of redis-py with its defaults, which it has only when it is not made from a URL.

    Args:
        url: As greencache takes it; through sentinels, it leads to the primary.
        options: What differs from the defaults.
    """
    client = _new_client(Deployment.parse(url), options)
    _CLIENTS.append(client)
    return client


def _new_client(deployment, options):
    if deployment.topology is Topology.SENTINEL:
        sentinels = [(seed.host, seed.port) for seed in deployment.seeds]
        return redis.Sentinel(sentinels).master_for(deployment.service, **options)
    member = deployment.member
    login = {"username": member.username, "password": member.password}
    if deployment.topology is Topology.CLUSTER:
        return redis.RedisCluster(host=member.host, port=member.port, **login, **options)
    return redis.Redis(host=member.host, port=member.port, **login, **options)
