"""Promises of the clock that tests own."""

import math
import threading

import pytest

from greencache.clock import Clock
from greencache.testing import FakeClock


def test_time_stands_still_until_it_is_advanced():
    """Both readings stay the same, and advance together."""
    clock: Clock = FakeClock(now=10.0, wall=500.0)
    assert (clock.now(), clock.wall()) == (10.0, 500.0)
    clock.advance(2.5)
    assert (clock.now(), clock.wall()) == (12.5, 502.5)


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf])
def test_now_never_goes_back(seconds):
    """A monotonic clock that went back would test what cannot happen."""
    clock = FakeClock()
    with pytest.raises(ValueError, match="zero or more seconds"):
        clock.advance(seconds)


def test_the_wall_clock_jumps_alone():
    """As when an administrator sets it: `now` does not notice."""
    clock = FakeClock(now=10.0, wall=500.0)
    clock.jump_wall(-100.0)
    assert (clock.now(), clock.wall()) == (10.0, 400.0)
    with pytest.raises(ValueError, match="finite"):
        clock.jump_wall(math.nan)


def test_no_step_is_lost_between_threads():
    """Steps from several threads add up."""
    clock = FakeClock(now=0.0, wall=0.0)

    def advance_often():
        for _ in range(2_000):
            clock.advance(1.0)

    threads = [threading.Thread(target=advance_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.now() == clock.wall() == 8_000.0
