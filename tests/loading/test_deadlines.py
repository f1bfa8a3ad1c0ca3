"""When a caller looks up from waiting."""

import itertools
import math

import pytest

from greencache.loading.deadlines import deadlines
from greencache.options import EntryOptions


def test_without_timeouts_a_caller_waits_as_long_as_it_is_patient():
    """For ever, if it is."""
    assert deadlines(EntryOptions(), 100.0, 130.0) == [130.0]
    assert deadlines(EntryOptions(), 100.0, math.inf) == [math.inf]


def test_a_hard_timeout_counts_from_when_the_caller_began_to_wait():
    """Unless patience ends before."""
    assert deadlines(EntryOptions(hard_timeout=5), 100.0, math.inf) == [105.0]
    assert deadlines(EntryOptions(hard_timeout=50), 100.0, 130.0) == [130.0]


@pytest.mark.parametrize("soft", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("hard", [0.0, 0.5, 3.0, math.inf])
@pytest.mark.parametrize("patience", [0.0, 1.0, math.inf])
def test_moments_come_in_order_and_end_with_the_last(soft, hard, patience):
    """The soft time-out, looks after it, ever more rarely, and then what comes first of the others."""
    moments = deadlines(EntryOptions(soft_timeout=soft, hard_timeout=hard), 100.0, 100.0 + patience)
    assert moments == sorted(set(moments))
    assert moments[-1] == 100.0 + min(hard, patience)
    assert moments[0] == 100.0 + min(soft, hard, patience)
    pauses = [later - sooner for sooner, later in itertools.pairwise(moments[:-1])]
    assert pauses == sorted(pauses)


def test_a_caller_with_a_soft_timeout_does_not_look_up_often():
    """A load of minutes wakes it a few times."""
    assert len(deadlines(EntryOptions(soft_timeout=0.1), 100.0, math.inf)) < 10
