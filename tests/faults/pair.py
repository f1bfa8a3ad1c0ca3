"""A primary and its replica behind one address, as a failover leaves them."""

import redis

from greencache import CacheManager
from greencache.testing import wait_until
from greencache.testing.proxy import TcpProxy

__all__ = ["Notes", "Pair"]

_AT_ONCE = ("--repl-diskless-sync-delay", "0")


class Notes:
    """Keeps the events of a cache."""

    def __init__(self):
        self.events = []

    def record(self, event):
        """Keep one."""
        self.events.append(event)

    def of(self, kind):
        """Return the events of a kind."""
        return [event for event in list(self.events) if event.kind == kind]


class Pair:
    """Two servers, the second a replica of the first, and an address that leads to one of them.

    Args:
        new_server: Starts a Redis server.
        stack: Closes what was made.
    """

    def __init__(self, new_server, stack):
        self._stack = stack
        self._new_server = new_server
        self.primary = new_server(arguments=_AT_ONCE)
        self.replica = new_server(arguments=_AT_ONCE)
        self.proxy = stack.enter_context(TcpProxy(("127.0.0.1", self.primary.port)))
        self.url = self.proxy.url_for(self.primary.url)
        self.ask(self.replica, "REPLICAOF", "127.0.0.1", self.primary.port)
        wait_until(self._is_linked, deadline=30, reason="the replica follows")

    def cache(self, **options):
        """Return a cache over the address, without L1, so that every read comes from a server."""
        settings = {"l1": None, "l3": self.url, "namespace": "failover"} | options
        return self._stack.enter_context(CacheManager.from_urls(**settings)).initialize(strict=True)

    def host(self):
        """Return the address of the Redis of a host."""
        return self._new_server().url

    def read(self, name):
        """Return what is under a name in the replica, past the cache."""
        return self.ask(self.replica, "GET", name)

    def cut(self):
        """Let what is written from now on not reach the replica, which has all that was written before."""
        wait_until(self._has_all, deadline=30, reason="the replica has all")
        # A primary from now on, which nobody can reach yet. Only stopped, it would find in its socket later
        # what the other one has sent before its end.
        self.ask(self.replica, "REPLICAOF", "NO", "ONE")

    def fail_over(self, how="killed"):
        """Let the address lead to the replica.

        Args:
            how: What became of the primary: "killed"; "hung"; or "left", alive and with its connections.
        """
        self.proxy.target = ("127.0.0.1", self.replica.port)
        if how == "killed":
            self.primary.kill()
        elif how == "hung":
            self.primary.pause()
            self.proxy.drop()

    def fail_back(self):
        """Let the first server follow the other one, and then take its place again, in the same process."""
        self.ask(self.primary, "REPLICAOF", "127.0.0.1", self.replica.port)
        wait_until(
            lambda: self._info(self.primary)["master_link_status"] == "up", deadline=30, reason="synced"
        )
        self.ask(self.primary, "REPLICAOF", "NO", "ONE")
        self.proxy.target = ("127.0.0.1", self.primary.port)
        self.proxy.drop()

    def _is_linked(self):
        return self._info(self.replica).get("master_link_status") == "up"

    def _has_all(self):
        sent = self._info(self.primary)["master_repl_offset"]
        return self._info(self.replica)["slave_repl_offset"] >= sent

    @staticmethod
    def _info(server):
        with redis.Redis.from_url(server.url) as client:
            return client.info("replication")

    @staticmethod
    def ask(server, *command):
        """Return what a server answers to a command, past the address."""
        with redis.Redis.from_url(server.url) as client:
            return client.execute_command(*command)
