"""In no order of steps is there an old value at rest, an old answer, a deadlock, or a lease left behind."""

import pytest

from .scenarios import SCENARIOS


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_order_of_steps_breaks_a_promise(explore, name):
    """Whatever the order: at rest all tiers agree, no answer is outdated, and all can be filled anew."""
    report = explore(SCENARIOS[name])
    assert not report.violation, report.explain()
    assert report.schedules > 1
