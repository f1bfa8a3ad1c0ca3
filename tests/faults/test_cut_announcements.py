"""The connection is cut at a drop or its announcement, before or after it ran: all is made up for."""

import threading
import time
import urllib.parse

import pytest

from greencache import CacheManager
from greencache.backends.redis_names import RedisNames
from greencache.errors import InvalidationPending
from greencache.events import EventKind
from greencache.testing import wait_until
from greencache.testing.proxy import TcpProxy
from tests.faults.bus_client import KEY, NAMESPACE
from tests.faults.scene import LOG, kinds, seconds_until_version

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

ANNOUNCEMENT = (b"EVALSHA", LOG)
DROP = (RedisNames(NAMESPACE).value(KEY),)
REPLAYED_WITHIN = 6.0
"""Seconds: a breaker tries again within five."""


class Cutter:
    """Cuts all connections through a proxy when a certain command comes, once.

    Args:
        proxy: On the way to the server.
        words: What the command contains.
    """

    def __init__(self, proxy, words):
        self._proxy = proxy
        self._words = words
        self.has_come = threading.Event()
        proxy.requests.framed = True

    def lose_command(self):
        """Do not let it reach the server, and let nobody connect until the proxy is healed."""
        self._proxy.requests.rewrite = self._swallow

    def lose_reply(self, is_executed):
        """Let it reach the server, cut when that has executed it, and be well again.

        Args:
            is_executed: Returns whether it has.
        """
        self._proxy.requests.rewrite = self._hold_replies
        threading.Thread(target=self._cut_when, args=(is_executed,), daemon=True).start()

    def _is_it(self, command):
        return not self.has_come.is_set() and all(word in command for word in self._words)

    def _swallow(self, command):
        if not self._is_it(command):
            return command
        self.has_come.set()
        self._proxy.resets = True
        self._proxy.drop()
        return b""

    def _hold_replies(self, command):
        if self._is_it(command):
            self._proxy.replies.stalled = True
            self.has_come.set()
        return command

    def _cut_when(self, is_executed):
        self.has_come.wait(30)
        try:
            wait_until(is_executed, reason="the server has executed it")
        finally:
            self._proxy.drop()
            self._proxy.heal()


@pytest.fixture
def proxy(scene):
    """A way to the shared Redis that can be cut."""
    parts = urllib.parse.urlsplit(scene.l3.url)
    with TcpProxy((parts.hostname, parts.port)) as proxy:
        yield proxy


@pytest.fixture
def forgetful(scene, proxy):
    """A cache that reaches the shared Redis by that way."""
    urls = {"l2": scene.here, "l3": proxy.url_for(scene.l3.url)}
    with CacheManager.from_urls(**urls, namespace=NAMESPACE) as cache:
        cache.initialize(strict=True)
        # So that the server knows all scripts that take part.
        cache.invalidate("other")
        yield cache


def test_a_drop_whose_announcement_is_cut_off_is_announced_later(scene, proxy, forgetful, figure):
    """The caller is told that it is pending, and nobody has to ask for it again."""
    client = scene.client()
    cutter = Cutter(proxy, ANNOUNCEMENT)
    cutter.lose_command()
    version = scene.change()
    with pytest.raises(InvalidationPending):
        forgetful.invalidate(KEY)
    assert cutter.has_come.is_set()
    proxy.heal()
    healed = time.monotonic()
    client.await_hit(version)
    stale = seconds_until_version(client.report(), version, healed)
    figure(59, "dropped, not announced: stale after the link is back", stale, "s", f"<= {REPLAYED_WITHIN}")


def test_an_announcement_whose_reply_is_lost_is_made_twice_and_harms_nobody(scene, proxy, forgetful, figure):
    """Twice is once more than needed, and no gap."""
    client = scene.client()
    with scene.admin() as admin:
        length = admin.xlen(LOG)
        cutter = Cutter(proxy, ANNOUNCEMENT)
        cutter.lose_reply(lambda: admin.xlen(LOG) > length)
        version = scene.change()
        forgetful.invalidate(KEY)
        acknowledged = time.monotonic()
        client.await_hit(version)
        report = client.report()
        announced = admin.xlen(LOG) - length
    assert cutter.has_come.is_set()
    stale = seconds_until_version(report, version, acknowledged)
    figure(
        59, "announced, reply lost: stale after the acknowledgement", stale, "s", "<= 2", announced=announced
    )
    figure(59, "announced twice: gaps", kinds(report).count(EventKind.BUS_GAP), bound="== 0")


def test_a_drop_whose_reply_is_lost_is_made_again_and_announced(scene, proxy, forgetful, figure):
    """Nobody knows whether it was executed, so it is repeated."""
    client = scene.client()
    with scene.admin() as admin:
        cutter = Cutter(proxy, DROP)
        cutter.lose_reply(lambda: not admin.exists(*DROP))
        version = scene.change()
        forgetful.invalidate(KEY)
        acknowledged = time.monotonic()
        client.await_hit(version)
    assert cutter.has_come.is_set()
    stale = seconds_until_version(client.report(), version, acknowledged)
    figure(59, "dropped, reply lost: stale after the acknowledgement", stale, "s", "<= 2")
