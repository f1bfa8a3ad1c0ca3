"""Listeners that are killed, cut off, drowned or lied to: what they missed is seen."""

import time
import urllib.parse

import pytest
import redis

from greencache.backends.redis import RedisManager
from greencache.backends.scripts import load_script
from greencache.bus.base import Message, MessageKind
from greencache.bus.redis import RedisBus
from greencache.bus.stream import encode_message, new_mark
from greencache.clock import SystemClock
from greencache.events import EventKind
from greencache.testing import wait_until
from greencache.testing.proxy import TcpProxy
from tests.faults.scene import (
    LOG,
    MAX_STALENESS,
    await_bound,
    hits,
    kill_listeners,
    kinds,
    older,
    seconds_until,
    seconds_until_version,
)

pytestmark = [pytest.mark.faults, pytest.mark.timeout(200)]

HEARTBEAT = 0.5
MB = 1_000_000


class Notes:
    """Counts what a bus has delivered, and the gaps that it has told of."""

    def __init__(self):
        self.keys = set()
        self.gaps = 0

    def receive(self, message):
        """Take a message."""
        self.keys.update(message.keys)

    def record(self, event):
        """Take an event."""
        self.gaps += event.kind is EventKind.BUS_GAP


def test_no_announcement_is_lost_while_the_listener_is_killed_under_load(redis_servers, figure):
    """Bursts with a kill in the middle of each: the log keeps what nobody was there to hear."""
    url, bursts, size = redis_servers().url, 20, 200
    notes = Notes()
    with RedisManager(url) as manager, redis.Redis.from_url(url) as admin:
        listener, publisher = (
            RedisBus(manager, namespace="kills", clock=SystemClock(), recorder=notes) for _ in range(2)
        )
        listener.start(notes.receive)
        assert listener.wait_joined(10)
        kills = number = 0
        for burst in range(bursts):
            for place in range(size):
                if place == size // 2:
                    kills += wait_until(lambda: kill_listeners(admin), reason="the listener is connected")
                number = publisher.publish(Message(MessageKind.DROP, keys=(f"{burst}-{place}",)))
        listener.wait_applied(number, 30)
        listener.close()
        publisher.close()
    lost = bursts * size - len(notes.keys)
    figure(56, f"announcements lost of {bursts * size:,}, {kills} kills", lost, bound="== 0", gaps=notes.gaps)


def test_a_listener_whose_link_went_silent_is_believed_no_longer_than_the_bound(scene, figure):
    """No end of the connection tells it; only that no heartbeat comes."""
    parts = urllib.parse.urlsplit(scene.l3.url)
    with TcpProxy((parts.hostname, parts.port)) as proxy:
        client = scene.client(l3=proxy.url_for(scene.l3.url))
        proxy.black_hole = True
        silent = time.monotonic()
        version, acknowledged = scene.forget()
        await_bound(acknowledged)
        wait_until(lambda: EventKind.BUS_LOST in kinds(client.report()), reason="the silence is noticed")
        report = client.report()
        proxy.heal()
        client.await_hit(version)
    last_hit = max((run.last for run in hits(report.runs)), default=silent)
    figure(
        57,
        "stale hits past the bound",
        len(hits(older(report, version, acknowledged + MAX_STALENESS))),
        bound="== 0",
    )
    figure(57, "L1 believed after the link went silent", last_hit - silent, "s", f"<= {MAX_STALENESS}")
    noticed = seconds_until(report, EventKind.BUS_LOST, silent)
    figure(57, "silence noticed after", noticed, "s", f"<= {2 * HEARTBEAT + 1.0}")


def test_a_listener_that_is_behind_holds_no_more_than_a_batch(scene, figure, is_long):
    """Megabytes of announcements wait for a process that stood still."""
    calls = 120 if is_long else 30
    client = scene.client()
    client.pause()
    pad = "x" * 900
    for turn in range(calls):
        scene.forget_many([f"{turn}-{number}-{pad}" for number in range(1_000)])
    version, acknowledged = scene.forget()
    with scene.admin() as admin:
        in_log = admin.memory_usage(LOG, samples=0)
    before = client.memory_when_paused
    woken = client.resume()
    client.await_hit(version)
    report = client.report()
    stale = older(report, version, max(woken, acknowledged + MAX_STALENESS))
    figure(58, "stale reads past the bound", len(stale), bound="== 0")
    grown = (report.memory - before) / MB
    gaps = kinds(report).count(EventKind.BUS_GAP)
    figure(58, f"memory grown by {calls} MB that waited", grown, "MB", "<= 100", gaps=gaps)
    figure(58, "the log in the server", in_log / MB, "MB")


def test_announcements_that_are_repeated_or_out_of_order_are_gaps(scene, figure):
    """The chain of marks shows both."""
    client = scene.client()
    scene.forget()
    with scene.admin() as admin:
        for forge in (repeat_last, swap_next_two):
            forged = time.monotonic()
            forge(admin)
            wait_until(lambda at=forged: "bus_gap" in kinds(client.report(), at), reason="the gap is seen")
    version, acknowledged = scene.forget()
    client.await_hit(version)
    report = client.report()
    figure(60, "gaps told of, 2 injected", kinds(report).count(EventKind.BUS_GAP), bound="== 2")
    stale = older(report, version, acknowledged + MAX_STALENESS)
    figure(60, "stale reads past the bound", len(stale), bound="== 0")


def repeat_last(admin):
    """Append the last message once more."""
    ((identifier, fields),) = admin.xrevrange(LOG, count=1)
    number = int(identifier.partition(b"-")[0])
    admin.xadd(LOG, fields, id=f"{number + 1}-0")


def swap_next_two(admin):
    """Append two messages, the second before the first."""
    ((identifier, fields),) = admin.xrevrange(LOG, count=1)
    number = int(identifier.partition(b"-")[0])
    first, second, body = new_mark(), new_mark(), encode_message(Message(MessageKind.DROP))
    with admin.pipeline(transaction=True) as both:
        for place, (mark, previous) in enumerate([(second, first), (first, fields[b"mark"])], number + 1):
            record = {"mark": mark, "previous": previous, "origin": "nobody", "body": body}
            both.xadd(LOG, record, id=f"{place}-0")
        both.execute()


def test_each_announcement_that_is_missed_is_seen(scene, figure, is_long):
    """As many gaps as were made, each within two heartbeats."""
    rounds, times, stale = 20 if is_long else 3, [], 0
    client = scene.client()
    for _ in range(rounds):
        client.pause()
        version, acknowledged = scene.forget()
        with scene.admin() as admin:
            admin.xtrim(LOG, maxlen=0, approximate=False)
        woken = client.resume()
        wait_until(lambda woken=woken: "bus_gap" in kinds(client.report(), woken), reason="the gap is seen")
        client.await_hit(version)
        report = client.report()
        times.append(seconds_until(report, EventKind.BUS_GAP, woken))
        stale += len(older(report, version, max(woken, acknowledged + MAX_STALENESS)))
    gaps = kinds(client.report()).count(EventKind.BUS_GAP)
    figure("P9", f"gaps told of, {rounds} injected", gaps, bound=f"== {rounds}")
    figure("P9", "longest time to a gap", max(times), "s", f"<= {2 * HEARTBEAT}", stale=stale)


def test_twenty_thousand_announcements_are_taken_or_flushed(scene, figure):
    """In one call, they are applied; behind a listener's back, more than the log holds, they are a gap."""
    client, number = scene.client(), 20_000
    version, acknowledged = scene.forget_many([f"user:{index}" for index in range(number)])
    client.await_hit(version)
    arrived = seconds_until_version(client.report(), version, acknowledged)
    figure(65, f"{number:,} keys in one call: until others read anew", arrived, "s", f"<= {MAX_STALENESS}")
    client.pause()
    version, acknowledged = scene.forget()
    with scene.admin() as admin:
        announce_one_by_one(admin, number)
    before = client.memory_when_paused
    woken = client.resume()
    client.await_hit(version)
    report = client.report()
    figure(
        65, f"{number:,} announcements behind its back: gaps", kinds(report).count("bus_gap"), bound="== 1"
    )
    stale = older(report, version, max(woken, acknowledged + MAX_STALENESS))
    figure(65, "stale reads past the bound", len(stale), bound="== 0")
    figure(65, "memory grown", (report.memory - before) / MB, "MB", "<= 50")
    arrived = seconds_until_version(report, version, woken)
    figure(65, "until it reads anew after waking", arrived, "s", f"<= {MAX_STALENESS}")


def announce_one_by_one(admin, number):
    """Append so many messages of one key each."""
    script = load_script("publish").text
    body = encode_message(Message(MessageKind.DROP, keys=("k",)))
    with admin.pipeline(transaction=False) as pipe:
        for _ in range(number):
            pipe.eval(script, 1, LOG, 10_000, new_mark(), "nobody", body)
        pipe.execute()
