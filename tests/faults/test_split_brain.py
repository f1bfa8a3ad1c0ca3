"""A primary and one of its clients are cut off from all others, who choose another primary meanwhile.

No network is split here: sentinels, replicas and the other client reach the primary through a proxy that can
swallow everything, and the client that stays with it reaches the sentinels through others.
"""

import contextlib
import itertools
import time
import types

import pytest
import redis

from greencache import CacheManager
from greencache.config import CacheConfig
from greencache.errors import InvalidationPending
from greencache.testing import wait_until
from greencache.testing.proxy import TcpProxy
from tests.faults.figures import only_in_a_long_run
from tests.faults.lying_sentinel import LyingSentinels
from tests.faults.stock_readers import StockWriter, stock_client

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]

NEEDS_A_REPLICA = ("--min-replicas-to-write", "1", "--min-replicas-max-lag", "1")
MAX_STALENESS = 2.0
KEYS = [f"key{number}" for number in range(200)]


class Split:
    """Servers whose primary can be cut off together with who talks to it.

    Args:
        servers: The sentinels and their data servers.
        stack: Closes what was made.
    """

    def __init__(self, servers, stack):
        self.servers = servers
        self._stack = stack
        self.primary = servers.primary
        self._way = self._way_to_primary()
        for replica in servers.replicas:
            replica.execute("REPLICAOF", *self._way.address)
        for sentinel in servers.sentinels:
            sentinel.execute("SENTINEL", "REMOVE", servers.service)
            servers._servers._instruct(sentinel, types.SimpleNamespace(address=self._way.address))
        wait_until(self._is_known, deadline=30, reason="the sentinels know each other and all replicas")
        # Who stays with the primary reaches it past the proxy.
        self._ways = LyingSentinels(
            servers.url, servers.sentinels, stack, true=self._way.port, told=self.primary.port
        )

    def _way_to_primary(self):
        while True:
            proxy = self._stack.enter_context(TcpProxy(("127.0.0.1", self.primary.port)))
            if len(str(proxy.port)) == len(str(self.primary.port)):
                return proxy

    def _is_known(self):
        for sentinel in self.servers.sentinels:
            said = sentinel.execute("SENTINEL", "MASTER", self.servers.service)
            facts = dict(zip(said[::2], said[1::2], strict=True))
            if (facts["num-slaves"], facts["num-other-sentinels"], facts["flags"]) != ("2", "2", "master"):
                return False
        return all(each.replication()["master_link_status"] == "up" for each in self.servers.nodes[1:])

    @property
    def url_inside(self):
        """The address for who is cut off together with the primary."""
        return self._ways.url

    def cache(self, url):
        """Return a cache without L1."""
        l3 = {"url": url, "timeout": 0.3, "deadline": 1.0}
        config = CacheConfig.model_validate({"namespace": "split", "l1": {"enabled": False}, "l3": l3})
        return self._stack.enter_context(CacheManager.from_config(config)).initialize(strict=True)

    def begin(self):
        """Cut the primary off."""
        for proxy in [self._way, *self._ways.proxies]:
            proxy.black_hole = True

    def end(self):
        """Let all reach all again."""
        for proxy in [self._way, *self._ways.proxies]:
            proxy.black_hole = False

    def successor(self):
        """Return the other primary, once the sentinels agree on one."""
        nodes = {node.port: node for node in self.servers.nodes}
        named = {
            int(each.execute("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.servers.service)[1])
            for each in self.servers.sentinels
        }
        return nodes.get(named.pop()) if len(named) == 1 and self._way.port not in named else None


@pytest.fixture
def split(redis_sentinels):
    """A group of servers that can be split."""
    with contextlib.ExitStack() as stack:
        yield Split(redis_sentinels(arguments=NEEDS_A_REPLICA), stack)


def invalidate_for(cache, keys, seconds):
    """Invalidate one key after the other; return when which was acknowledged."""
    acknowledged, end = [], time.monotonic() + seconds
    for key in keys:
        if time.monotonic() > end:
            break
        with contextlib.suppress(InvalidationPending):
            cache.invalidate(key)
            acknowledged.append((time.monotonic(), key))
        time.sleep(0.02)  # it goes on for the whole time
    return acknowledged


@only_in_a_long_run
def test_what_was_invalidated_on_either_side_stays_invalidated(split, figure):
    """The side without replicas soon takes no writes; the drops that it had taken are replayed."""
    inside, outside = split.cache(split.url_inside), split.cache(split.servers.url)
    inside.mset(dict.fromkeys(KEYS, "old"))
    wait_until(lambda: len(outside.mget(KEYS)) == len(KEYS), deadline=30, reason="all is there")
    with StockWriter(stock_client(split.url_inside)) as writer:
        wait_until(lambda: writer.acknowledged, deadline=30, reason="stock redis-py writes")
        began = time.monotonic()
        split.begin()
        mine = invalidate_for(inside, itertools.cycle(KEYS[:100]), 6.0)
        successor = wait_until(split.successor, deadline=60, reason="another primary is chosen")
        theirs = []
        wait_until(
            lambda: theirs.extend(invalidate_for(outside, KEYS[100:], 5.0)) or theirs,
            deadline=30,
            reason="the other side invalidates",
        )
        old_meanwhile = sum(value == "old" for value in inside.mget([key for _, key in theirs]).values())
        split.end()
    late = [key for at, key in mine if at > began + 4.0]
    figure(
        "39", "drops taken by a primary that is alone for 4 s", len(late), "drops", "== 0", before=len(mine)
    )
    figure("39", "keys that the other side had dropped, read where it was cut off", old_meanwhile, "keys")
    finder = inside._engine.stack.shared[0].tier._manager._servers.news._finder
    wait_until(lambda: finder.primary.port == successor.port, deadline=30, reason="the split is over")
    bound = time.monotonic() + MAX_STALENESS
    seen, dropped = [], sorted({key for _, key in mine + theirs})
    while time.monotonic() < bound + 2:
        began = time.monotonic()
        seen.append((began, sum(value == "old" for value in inside.mget(dropped).values())))
        if began > bound:
            seen.append((began, sum(value == "old" for value in outside.mget(dropped).values())))
    stale = sum(count for at, count in seen if at > bound)
    figure(
        "39",
        "stale reads once it is over and max_staleness has passed",
        stale,
        "reads",
        "== 0",
        looks=len(seen),
    )
    left = sum(value == "old" for value in outside.mget(dropped).values())
    figure("39", "acknowledged invalidations lost", left, "keys", "== 0", of=len(dropped))
    with redis.Redis.from_url(successor.url) as admin:
        lost = writer.lost(admin)
    figure("39", "stock redis-py: acknowledged writes lost", lost, "writes", of=len(writer.acknowledged))
