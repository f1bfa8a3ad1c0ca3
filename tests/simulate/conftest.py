"""Traces for tests of the simulator."""

import random

import pytest

from greencache.simulate import Request


@pytest.fixture
def requests():
    """Some requests with sizes, times, ttls and costs; each key has one size."""
    chance = random.Random(5)
    made = []
    for number in range(3000):
        rank = int(chance.paretovariate(0.6)) % 400
        size, cost = 20 + rank * 7 % 90, 0.001 * (rank % 5)
        made.append(Request(f"k{rank}", size, ttl=60.0, time=float(number), cost=cost))
    return made
