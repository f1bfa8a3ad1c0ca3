"""Values that no tier takes: refused by their size, and before anything is sent."""

import collections
import contextlib

import pytest
import redis

from greencache.errors import EncodeError
from tests.faults.child import Child, peak_memory
from tests.faults.loader_client import configured_cache

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

MIB = 1024 * 1024


class Kinds:
    """A recorder that counts kinds."""

    def __init__(self):
        self.counts = collections.Counter()

    def record(self, event):
        """Count an event."""
        self.counts[event.kind.value] += 1


def store_big_value(pipe, urls, size, verb):
    """Store a value of some bytes, and say how much memory that took beside the value."""
    kinds = Kinds()
    with configured_cache(urls, recorder=kinds) as cache:
        cache.set("small", b"x")
        value = b"x" * size
        before = peak_memory()
        # A write says that it was not done; a read has its value all the same.
        with contextlib.suppress(EncodeError):
            if verb == "set":
                cache.set("big", value)
            else:
                assert cache.get_or_load("big", lambda: value) is value
        pipe.send((peak_memory() - before, dict(kinds.counts), cache.get("big") is None))


@pytest.mark.parametrize("verb", ["set", "get_or_load"])
def test_what_is_too_large_is_refused_before_it_is_sent(redis_servers, figure, is_long, verb):
    """It is encoded to know its size, and the servers see nothing of it."""
    size = (600 if is_long else 60) * MIB
    servers = {"l2": redis_servers(), "l3": redis_servers()}
    urls = {name: server.url for name, server in servers.items()}
    before = [received(server) for server in servers.values()]
    memory, refused, is_absent = Child(store_big_value, urls, size, verb).hear()
    sent = max(received(server) - old for server, old in zip(servers.values(), before, strict=True))
    name = f"{verb} of {size // MIB} MB"
    figure(73, f"{name}: memory beside the value", memory / size, "x", "<= 3.2", refused=refused)
    figure(73, f"{name}: bytes that a server has received", sent, "B", f"<= {64 * 1024}")
    assert is_absent


def received(server):
    """Return the bytes that a server has received so far."""
    with redis.Redis.from_url(server.url) as admin:
        return admin.info("stats")["total_net_input_bytes"]
