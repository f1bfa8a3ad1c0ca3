"""greencache.config.nearest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greencache.config.nearest import suggestion

NAMES = ["max_connections", "connect_timeout", "timeout", "ttl", "enabled"]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("max_conections", "max_connections"),
        ("maxConnections", "max_connections"),
        ("MAX-CONNECTIONS", "max_connections"),
        ("tll", "ttl"),
        ("conect_timeout", "connect_timeout"),
    ],
)
def test_the_nearest_name_is_suggested(wrong, right):
    """Slips of the finger, of case and of hyphens lead to the name that was meant."""
    assert f"did you mean {right!r}?" in suggestion(wrong, NAMES)


def test_a_far_name_is_not_suggested():
    """A suggestion that cannot be meant is left out; what there is is listed all the same."""
    assert suggestion("zzz", NAMES).startswith("known here: connect_timeout, enabled,")
    assert suggestion("zzz", []) == "known here: nothing"


@given(st.sampled_from(NAMES), st.integers(0, 20))
def test_one_missing_letter_is_recognised(name, at):
    """Whatever letter of a name of four or more is missing, the name is found."""
    if len(name) > 3 and at < len(name):
        assert f"{name!r}" in suggestion(name[:at] + name[at + 1 :], NAMES)
