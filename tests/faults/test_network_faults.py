"""The way between a cache and its server goes wrong, under load: nothing old, nobody waits long."""

import itertools

import pytest

from greencache.events import EventKind
from tests.faults.history import percentiles
from tests.faults.server_rig import Fault, Rig, parameters, suffer

pytestmark = [pytest.mark.faults, pytest.mark.timeout(180)]


def black_hole(rig):
    """Swallow what is sent, in either direction."""
    rig.on_proxies(black_hole=True)


def reset(rig):
    """End all connections, and each new one at once."""
    rig.on_proxies(resets=True)
    rig.drop()


def delay(rig):
    """Let each reply come late."""
    rig.on_proxies(replies_latency=0.2)


def drip(rig):
    """Let a byte of a reply come each second."""
    rig.on_proxies(replies_rate=1)


def flap(rig):
    """Refuse and accept, by turns of half a second."""
    states = itertools.cycle([True, False])

    def turn():
        rig.on_proxies(refuses=next(states))
        rig.drop()

    turn()
    rig.again_and_again(turn, 0.5)


def answer(reply):
    """Return what lets something else answer than a Redis."""

    def harm(rig):
        rig.on_proxies(replies_rewrite=lambda _: reply)

    return harm


def proxied(scenario, how, harm, **options):
    """Return a fault of proxies, which they heal from."""
    return Fault(scenario, how, harm, Rig.heal, is_proxied=True, **options)


HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
POSTGRESQL = b"E\x00\x00\x00\x16SFATAL\x00C0A000\x00\x00"
NOISE = bytes(range(255, 128, -1))

FAULTS = [
    proxied("16", "black hole", black_hole, longer=12.0, in_short_runs=True),
    proxied("17", "reset on connect", reset),
    proxied("18", "200 ms late", delay),
    proxied("19", "a byte a second", drip, longer=12.0),
    proxied("20", "up and down", flap, seconds=2.0, longer=8.0, in_short_runs=True),
    proxied("33", "HTTP", answer(HTTP)),
    proxied("33", "PostgreSQL", answer(POSTGRESQL)),
    proxied("33", "noise", answer(NOISE), in_short_runs=True),
]


@pytest.mark.parametrize("fault", parameters(FAULTS))
def test_reads_and_invalidations_go_on(new_rig, figure, is_long, fault):
    """Through the fault and its end."""
    rig = new_rig(fault)
    suffered = suffer(rig, figure, is_long)
    scenario, how = fault.scenario, fault.how
    noticed = rig.notes.seconds_until(EventKind.TIER_DOWN, suffered.harmed)
    if noticed is not None:
        figure(scenario, f"{how}: noticed after", noticed, "s", "<= 3")
    during = [took for began, took in suffered.load.calls if suffered.harmed < began < suffered.healed]
    figure(scenario, f"{how}: reads meanwhile, p99", percentiles(during)["p99_ms"], "ms", count=len(during))
    if scenario == "20":
        turns = rig.notes.count(EventKind.TIER_DOWN, suffered.harmed)
        figure(scenario, f"{how}: breakers that opened", turns, "times", f"<= {4 * rig.seconds}")
