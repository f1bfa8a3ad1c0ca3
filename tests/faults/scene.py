"""One key that a process changes and forgets, and clients in processes of their own that read it."""

import operator
import time

import redis

from greencache import CacheManager
from greencache.backends.redis_names import RedisNames
from greencache.errors import InvalidationPending
from greencache.testing import wait_until
from tests.faults.bus_client import KEY, NAMESPACE, TAG, Client
from tests.faults.child import SPAWN

__all__ = [
    "FORGETTING",
    "LOG",
    "MAX_STALENESS",
    "Scene",
    "await_bound",
    "hits",
    "kill_listeners",
    "kinds",
    "older",
    "seconds_until",
    "seconds_until_version",
]

MAX_STALENESS = 2.0
LOG = RedisNames(NAMESPACE).bus

FORGETTING = {
    "key": lambda cache: cache.invalidate(KEY),
    "pattern": lambda cache: cache.invalidate(pattern="user:*"),
    "tag": lambda cache: cache.invalidate(tags=[TAG]),
    "clear": lambda cache: cache.clear(),
}


class Scene:
    """A shared Redis, a cache of this process that changes and forgets a key, and clients that read it.

    Args:
        new_server: Starts a Redis server.
    """

    def __init__(self, new_server):
        self._new_server = new_server
        self.l3 = new_server()
        self.here = new_server().url
        self._cache = CacheManager.from_urls(l2=self.here, l3=self.l3.url, namespace=NAMESPACE)
        self._cache.initialize(strict=True)
        self._source = SPAWN.RawValue("q", 1)
        self._clients = []

    def close(self):
        """End all clients."""
        for client in self._clients:
            client.kill()
        self._cache.close()

    def new_host(self):
        """Return the address of the Redis of a host that no process has used yet."""
        return self._new_server().url

    def start_client(self, l2=None, l3=None):
        """Return a client that begins to read; `l3` is another way to the shared Redis."""
        client = Client({"l2": l2, "l3": l3 or self.l3.url}, self._source)
        self._clients.append(client)
        return client

    def client(self, l2=None, l3=None):
        """Return a client that reads the present version from L1 by now."""
        client = self.start_client(l2, l3)
        client.await_hit(self._source.value)
        return client

    def forget(self, how="key"):
        """Change the source and forget the key; return the new version and when that was acknowledged."""
        version = self.change()
        wait_until(lambda: self._try(FORGETTING[how]), deadline=60, reason="forgetting is acknowledged")
        return version, time.monotonic()

    def forget_many(self, keys):
        """Change the source and forget the key together with others; return as `forget` does."""
        version = self.change()
        forget_all = operator.methodcaller("invalidate", KEY, *keys)
        wait_until(lambda: self._try(forget_all), deadline=60, reason="forgetting is acknowledged")
        return version, time.monotonic()

    def change(self):
        """Change the source, and return the new version."""
        self._source.value += 1
        return self._source.value

    def _try(self, forget):
        try:
            forget(self._cache)
        except InvalidationPending:
            return False
        return True

    def admin(self):
        """Return a client of the shared Redis itself."""
        return redis.Redis.from_url(self.l3.url)


def await_bound(acknowledged):
    """Wait until nobody may read what was forgotten any more."""
    wait_until(
        lambda: time.monotonic() > acknowledged + MAX_STALENESS,
        deadline=MAX_STALENESS + 5,
        reason="max_staleness is over",
    )


def older(report, version, since):
    """Return the runs of reads of an older version, the last of which began after a moment."""
    return [run for run in report.runs if 0 < run.version < version and run.last > since]


def hits(runs):
    """Return the runs among these that L1 vouched for."""
    return [run for run in runs if run.is_hit]


def kinds(report, since=0.0):
    """Return the kinds of events since a moment."""
    return [kind for kind, at in report.events if at > since]


def seconds_until(report, kind, since):
    """Return the seconds from a moment to the first event of a kind after it."""
    return round(min(at for each, at in report.events if each == kind and at > since) - since, 3)


def seconds_until_version(report, version, since):
    """Return the seconds from a moment to the beginning of the first read that returned a version."""
    # A read that was under way before has waited for it no longer than one that begins now.
    return round(max(0.0, min(run.first for run in report.runs if run.version == version) - since), 3)


def kill_listeners(admin):
    """Cut the connections of all listeners, and return how many there were."""
    listening = [each["id"] for each in admin.client_list() if each["cmd"] in ("xread", "eval")]
    return sum(admin.client_kill_filter(_id=each) for each in listening)
