"""Promises of waiting for a condition."""

import pytest

from greencache.testing import WaitTimeoutError, wait_until


def test_returns_the_first_true_answer():
    """What the condition returned is handed on."""
    answers = iter([None, 0, "here"])
    assert wait_until(lambda: next(answers), reason="somebody comes", interval=0.0) == "here"


@pytest.mark.parametrize("caught", [AssertionError, TimeoutError])
def test_says_what_was_waited_for_in_vain(caught):
    """The error is a failed test and a timeout, and names the reason and the last answer."""
    with pytest.raises(caught, match=r"until the sky falls; last answer: \[\]") as found:
        wait_until(list, reason="the sky falls", deadline=0.0)
    assert isinstance(found.value, WaitTimeoutError)


def test_asks_at_least_once():
    """A deadline of nothing still allows for what is true already."""
    assert wait_until(lambda: True, reason="now", deadline=0.0)


def test_a_condition_that_raises_ends_the_wait():
    """An error is not "not yet"."""
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: 1 / 0, reason="never")
