"""Run by test_gevent_gate.py in a process of its own: cut greenlets off while they come, load and leave."""

import gevent.monkey

gevent.monkey.patch_all()

import random  # noqa: E402 -- everything after the patch

import gevent  # noqa: E402
import gevent.event  # noqa: E402

from greencache.loading.gate import LoadGate  # noqa: E402


def torture(limit, greenlets, load_time):
    """Cut off greenlets at any time, and return the most loads that ran at once and how many were cut."""
    gate, running, most, cut = LoadGate(limit, 10.0), 0, 0, 0

    def load():
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            gevent.sleep(load_time)
        finally:
            running -= 1

    def work(seed):
        nonlocal cut
        chance = random.Random(seed)
        for _ in range(40):
            try:
                with gevent.Timeout(chance.uniform(0.0001, 2 * load_time)), gate.passed():
                    load()
            except gevent.Timeout:
                cut += 1

    gevent.joinall([gevent.spawn(work, seed) for seed in range(greenlets)], raise_error=True)
    return gate, most, cut


def count_places(gate, most):
    """Return how many greenlets are in at once when they stay."""
    may_leave, inside = gevent.event.Event(), []

    def stay():
        with gate.passed():
            inside.append(1)
            may_leave.wait(20)

    staying = [gevent.spawn(stay) for _ in range(most + 5)]
    while len(inside) < most and not may_leave.ready():
        gevent.sleep(0.001)
    gevent.sleep(0)
    places = len(inside)
    may_leave.set()
    gevent.joinall(staying, timeout=20, raise_error=True)
    assert len(inside) == most + 5, "who waited was let in"
    return places


for limit, greenlets, load_time in [(64, 50, 0.001), (8, 50, 0.003), (64, 200, 0.02)]:
    gate, most, cut = torture(limit, greenlets, load_time)
    assert cut > 0
    assert most <= limit, f"{most} loads ran at once, {limit} were allowed"
    with gevent.Timeout(10, AssertionError(f"places were lost of {limit}")):
        assert count_places(gate, limit) == limit
print("fine")
