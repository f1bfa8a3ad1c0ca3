"""Where a host's own tiers are on the bus, and what a process that starts there makes of it."""

import contextlib

import pytest

from greencache.backends.redis import RedisManager
from greencache.bus.base import Message, MessageKind
from greencache.bus.redis import RedisBus
from greencache.clock import SystemClock
from greencache.events import NullRecorder
from greencache.testing import wait_until

JOINED, GAP = Message(MessageKind.JOINED), Message(MessageKind.GAP)


def drop(key):
    """Return the announcement of a drop."""
    return Message(MessageKind.DROP, keys=(key,))


class Host:
    """Remembers as a host's Redis does."""

    def __init__(self):
        self.position = None

    def recall(self):
        """Return what was remembered last."""
        return self.position

    def remember(self, position):
        """Remember a position."""
        self.position = position


@pytest.fixture
def listen(redis_url):
    """Start listeners, each as a process of a host would."""
    with contextlib.ExitStack() as stack:

        def start(host=None):
            manager = stack.enter_context(RedisManager(redis_url))
            bus = RedisBus(
                manager,
                namespace="app",
                clock=SystemClock(),
                recorder=NullRecorder(),
                heartbeat=0.1,
                max_staleness=0.5,
            )
            stack.callback(bus.close)
            heard = []
            bus.start(heard.append, host)
            assert bus.wait_joined(10)
            return bus, heard

        yield start


def test_a_host_that_remembers_nothing_has_a_gap(listen):
    """Its tiers may hold anything."""
    _, heard = listen(Host())
    assert heard == [GAP]


def test_a_process_without_a_tier_of_its_hosts_own_just_joins(listen):
    """There is nothing to prove but its memory."""
    _, heard = listen()
    assert heard == [JOINED]


def test_what_was_announced_while_nobody_listened_is_heard_by_the_next_process(listen):
    """It goes on from where the host's tiers are, and is trusted when it has reached the end."""
    host = Host()
    first, _ = listen(host)
    first.close()
    sender, _ = listen()
    for number in range(250):
        sender.publish(drop(f"k{number}"))
    _, heard = listen(host)
    wait_until(lambda: len(heard) == 251, reason="all that was missed has been heard")
    assert heard == [JOINED, *(drop(f"k{number}") for number in range(250))]


def test_the_host_is_brought_forward_by_every_batch(listen):
    """So that the next process has little to hear again."""
    host = Host()
    bus, _ = listen(host)
    before = host.position
    sender, _ = listen()
    assert bus.wait_applied(sender.publish(drop("k")), 10)
    wait_until(lambda: host.position != before, reason="the position is remembered")
    _, heard = listen(host)
    assert heard == [JOINED]


@pytest.mark.parametrize("text", [b"not-a-position x", b"18446744073709551616-0 x", b""])
def test_a_host_that_remembers_something_else_has_a_gap(listen, text):
    """As if it remembered nothing; and from then on it remembers where it is."""
    host = Host()
    host.position = text
    bus, heard = listen(host)
    assert heard == [GAP]
    bus.close()
    assert listen(host)[1] == [JOINED]


def test_a_host_that_remembers_a_place_where_something_else_lies_has_a_gap(listen, redis_url):
    """Whoever put it into the log."""
    host = Host()
    listen(host)[0].close()
    with RedisManager(redis_url) as admin:
        admin.execute("XADD", "gc:b:{app}", "1000-0", "foreign", "entry")
    host.position = b"1000-0 entry"
    assert listen(host)[1] == [GAP]


@pytest.mark.parametrize("loss", ["trimmed", "emptied", "another log"])
def test_a_log_that_does_not_reach_back_is_a_gap(listen, redis_server, redis_url, loss):
    """Nobody knows what was announced in between."""
    host = Host()
    first, _ = listen(host)
    first.close()
    sender, _ = listen()
    for number in range(10):
        sender.publish(drop(f"k{number}"))
    with RedisManager(redis_url) as admin:
        if loss == "trimmed":
            admin.execute("XTRIM", "gc:b:{app}", "MAXLEN", 2)
        elif loss == "emptied":
            admin.execute("DEL", "gc:b:{app}")
        else:
            host.position = host.position[:-1] + (b"0" if host.position[-1:] != b"0" else b"1")
    _, heard = listen(host)
    assert heard[0] == GAP
