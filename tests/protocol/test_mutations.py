"""Each guard is needed: without it the checker finds what the guard is against."""

import pytest

from .mutations import MUTATIONS
from .scenarios import SCENARIOS

CASES = [(name, scenario) for name, mutation in MUTATIONS.items() for scenario in mutation.scenarios]


@pytest.mark.parametrize(("name", "scenario"), CASES)
def test_without_a_guard_a_promise_is_broken(explore, name, scenario):
    """The same scenario has no violation with the guard in place (`test_protocol`)."""
    with MUTATIONS[name].applied():
        report = explore(SCENARIOS[scenario])
    assert report.violation, f"expected a violation where {name}"
