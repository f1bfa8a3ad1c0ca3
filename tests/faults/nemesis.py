"""Who breaks servers, connections and logs while a storm rages."""

import itertools
import random
import time

import redis

from greencache.backends.redis_names import RedisNames
from greencache.testing import wait_until

__all__ = ["Nemesis"]

_LOG = RedisNames("storm").bus
_HANG = 0.4
"""Seconds; shorter than the storm's time-outs, longer than any healthy answer."""


class Nemesis:
    """Breaks one thing each time it is called, and says what.

    Args:
        hosts: The Redis of each host, last the shared one.
        seed: Seeds its order.
    """

    def __init__(self, *hosts, seed=1):
        *self._hosts, self._shared = hosts
        self._chance = random.Random(seed)
        ways = [
            self._cut_connections, self._trim_log, self._hang_shared, self._pause_writes,
            self._forget_scripts, self._hang_host, self._restart_host, self._restart_shared,
        ]  # fmt: skip
        self._chance.shuffle(ways)
        self._ways = itertools.cycle(ways)

    def __call__(self):
        """Break the next thing."""
        way = next(self._ways)
        way()
        return way.__name__.removeprefix("_")

    def _admin(self, server):
        return redis.Redis.from_url(server.url, socket_timeout=10)

    def _cut_connections(self):
        with self._admin(self._shared) as admin:
            admin.client_kill_filter(_type="normal", skipme=True)

    def _trim_log(self):
        with self._admin(self._shared) as admin:
            admin.xtrim(_LOG, maxlen=0, approximate=False)

    def _pause_writes(self):
        with self._admin(self._shared) as admin:
            admin.client_pause(int(1000 * _HANG), all=False)

    def _forget_scripts(self):
        with self._admin(self._shared) as admin:
            admin.script_flush()

    def _hang_shared(self):
        self._hang(self._shared)

    def _hang_host(self):
        self._hang(self._chance.choice(self._hosts))

    def _hang(self, server):
        server.pause()
        try:
            end = time.monotonic() + _HANG
            wait_until(lambda: time.monotonic() > end, reason="the server has hung for long enough")
        finally:
            server.resume()

    def _restart_host(self):
        self._restart(self._chance.choice(self._hosts))

    def _restart_shared(self):
        self._restart(self._shared)

    def _restart(self, server):
        server.kill()
        server.start()
