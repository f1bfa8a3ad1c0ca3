"""A primary and replicas whose links can be held up, behind somebody who passes for a sentinel."""

import redis

from greencache.backends.redis_protocol import pack
from greencache.testing import wait_until
from greencache.testing.proxy import TcpProxy
from tests.backends.conftest import StrangeServer

__all__ = ["Replicated"]

_AT_ONCE = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")


class Replicated:
    """Servers of this test's own.

    Args:
        new_server: Starts a Redis server.
        stack: Closes the links.
        replicas: How many follow the primary.
    """

    def __init__(self, new_server, stack, replicas=1):
        self.primary = new_server(arguments=_AT_ONCE)
        self.replicas = [new_server(arguments=_AT_ONCE) for _ in range(replicas)]
        self.links = []
        self.named = self.primary
        for replica in self.replicas:
            link = stack.enter_context(TcpProxy(("127.0.0.1", self.primary.port)))
            self.links.append(link)
            ask(replica, "REPLICAOF", "127.0.0.1", link.port)
        self.await_links()
        sentinel = StrangeServer(self._name)
        stack.callback(sentinel.close)
        self.url = f"redis+sentinel://127.0.0.1:{sentinel.port}/mymaster"

    def await_links(self):
        """Wait until all replicas have what the primary has."""
        wait_until(lambda: all(map(self._is_level, self.replicas)), deadline=30, reason="the replicas follow")

    def hold_links(self):
        """Let nothing pass to replicas any more; they do not notice."""
        for link in self.links:
            link.replies.stalled = True

    def heal_links(self):
        """Let it pass again."""
        for link in self.links:
            link.heal()
        self.await_links()

    def _is_level(self, replica):
        primary, own = (ask(server, "INFO", "replication") for server in (self.primary, replica))
        return (
            own["master_link_status"] == "up"
            and own["slave_repl_offset"] == primary["master_repl_offset"]
            and primary.get("connected_slaves") == len(self.replicas)
            and all(primary[f"slave{number}"]["state"] == "online" for number in range(len(self.replicas)))
        )

    def _name(self, sock):
        while sock.recv(4_096):
            place = ["127.0.0.1", str(self.named.port)]
            sock.sendall(pack(place) + pack(["name", "mymaster", "config-epoch", "0"]))


def ask(server, *words):
    """Return a server's reply, past what is tested."""
    with redis.Redis.from_url(server.url, decode_responses=False) as client:
        return client.execute_command(*words)


def gets(server):
    """Return how many GET a server has run so far."""
    return ask(server, "INFO", "commandstats").get("cmdstat_get", {}).get("calls", 0)
