"""The circuit breaker: opens, probes, closes, tells."""

import os
import threading

import pytest

from greencache.backends.breaker import Breaker, BreakerState
from greencache.errors import ConfigurationError
from greencache.testing import FakeClock


@pytest.fixture
def clock():
    """A clock that the test moves."""
    return FakeClock()


@pytest.fixture
def changes():
    """What the breaker has told."""
    return []


@pytest.fixture
def breaker(clock, changes):
    """A breaker of three failures and one second."""
    return Breaker(
        3,
        reset_after=1.0,
        max_reset_after=5.0,
        probe_timeout=10.0,
        clock=clock,
        on_change=lambda *change: changes.append(change),
    )


def fail(breaker, times=1):
    """Make calls that are allowed and fail."""
    for _ in range(times):
        assert breaker.allow()
        breaker.record_failure("refused")


def elsewhere(call):
    """Return what a call returns on another thread."""
    found = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join(10)
    return found[0]


def test_failures_in_a_row_open_it(breaker, changes):
    """The third of three, not the second."""
    fail(breaker, 2)
    assert breaker.state is BreakerState.CLOSED
    assert not breaker.is_open
    assert changes == []
    fail(breaker)
    assert breaker.state is BreakerState.OPEN
    assert breaker.is_open
    assert not breaker.allow()
    assert changes == [(False, "refused")]


def test_a_success_in_between_starts_the_count_anew(breaker):
    """In a row means in a row."""
    fail(breaker, 2)
    breaker.record_success()
    fail(breaker, 2)
    assert breaker.state is BreakerState.CLOSED


def test_time_that_failures_take_opens_it_too(clock, changes):
    """One call that has waited for all its time-out is enough; short ones are summed up."""
    breaker = Breaker(5, patience=2.0, clock=clock, on_change=lambda *change: changes.append(change))
    assert breaker.allow()
    breaker.record_failure("no answer", 1.9)
    assert not breaker.is_open
    assert breaker.allow()
    breaker.record_failure("no answer", 0.1)
    assert breaker.is_open
    clock.advance(1.0)
    assert breaker.allow()
    breaker.record_success()
    assert breaker.allow()
    breaker.record_failure("no answer", 1.9)
    assert not breaker.is_open, "what was before a success is forgotten"
    sibling = breaker.sibling()
    assert sibling.allow()
    sibling.record_failure("no answer", 5.0)
    assert sibling.is_open
    assert [is_up for is_up, _ in changes] == [False, True, False]


def test_one_caller_probes_after_the_wait_and_the_others_are_turned_away(breaker, clock):
    """Half-open lets one through."""
    fail(breaker, 3)
    clock.advance(0.9)
    assert not breaker.allow()
    assert breaker.next_probe_in == pytest.approx(0.1)
    clock.advance(0.1)
    assert breaker.allow()
    assert breaker.state is BreakerState.HALF_OPEN
    assert not breaker.allow()
    assert not elsewhere(breaker.allow)


def test_a_probe_that_succeeds_closes_it(breaker, clock, changes):
    """And the listener is told, once each way."""
    fail(breaker, 3)
    clock.advance(1)
    assert breaker.allow()
    breaker.record_success()
    assert breaker.state is BreakerState.CLOSED
    assert breaker.reason == ""
    assert [is_up for is_up, _ in changes] == [False, True]


def test_each_failed_probe_doubles_the_wait_up_to_the_cap(breaker, clock, changes):
    """1, 2, 4, 5, 5 seconds."""
    fail(breaker, 3)
    for wait in (1, 2, 4, 5, 5):
        clock.advance(wait - 0.01)
        assert not breaker.allow()
        clock.advance(0.01)
        fail(breaker)
    assert [is_up for is_up, _ in changes] == [False], "an outage is told once"


def test_the_wait_is_short_again_after_a_recovery(breaker, clock):
    """The next outage is another one."""
    fail(breaker, 3)
    clock.advance(1)
    fail(breaker)
    clock.advance(2)
    assert breaker.allow()
    breaker.record_success()
    fail(breaker, 3)
    clock.advance(1)
    assert breaker.allow()


def test_a_probe_that_never_reports_is_replaced(breaker, clock):
    """A hung or killed prober does not keep it half-open for ever, and its late report does not count."""
    fail(breaker, 3)
    clock.advance(1)
    assert elsewhere(breaker.allow)
    clock.advance(9.9)
    assert not breaker.allow()
    clock.advance(0.1)
    assert breaker.allow()
    elsewhere(breaker.record_failure)
    assert breaker.state is BreakerState.HALF_OPEN, "the first prober was replaced"
    breaker.record_success()
    assert breaker.state is BreakerState.CLOSED


def test_calls_from_before_the_outage_do_not_decide_for_the_probe(breaker, clock):
    """Their late failures neither prolong it nor do their late successes end it."""
    fail(breaker, 3)
    elsewhere(breaker.record_success)
    assert breaker.state is BreakerState.OPEN
    clock.advance(1)
    assert breaker.allow()
    elsewhere(breaker.record_failure)
    elsewhere(breaker.record_success)
    assert breaker.state is BreakerState.HALF_OPEN


def test_a_probe_that_came_to_nothing_makes_room_for_the_next_at_once(breaker, clock):
    """It was killed before it could tell anything."""
    fail(breaker, 3)
    clock.advance(1)
    assert breaker.allow()
    breaker.release()
    assert breaker.state is BreakerState.OPEN
    assert breaker.allow()


def test_release_changes_nothing_when_it_is_closed(breaker):
    """Neither a failure nor a success."""
    fail(breaker, 2)
    breaker.release()
    fail(breaker)
    assert breaker.is_open


def test_listeners_are_called_outside_of_the_lock(clock):
    """So they may ask the breaker, and use it, from wherever they are."""
    seen = []

    def listener(is_up, reason):
        seen.append((is_up, elsewhere(lambda: breaker.state), reason))
        breaker.record_success()

    breaker = Breaker(1, clock=clock)
    breaker.subscribe(listener)
    breaker.record_failure("gone")
    assert seen == [(False, BreakerState.OPEN, "gone")]


def test_changes_are_told_in_the_order_in_which_they_happened(clock):
    """Even when the one who tells the first is slower than the one who causes the second."""
    told = []
    is_telling, may_go_on = threading.Event(), threading.Event()

    def listener(is_up, _):
        if not is_up:
            is_telling.set()
            assert may_go_on.wait(10)
        told.append(is_up)

    breaker = Breaker(1, reset_after=1, clock=clock, on_change=listener)
    opener = threading.Thread(target=breaker.record_failure)
    opener.start()
    assert is_telling.wait(10)
    clock.advance(1)
    assert breaker.allow()
    breaker.record_success()
    assert told == [], "the first change is still being told"
    may_go_on.set()
    opener.join(10)
    assert told == [False, True]


def test_one_of_many_threads_becomes_the_probe(clock):
    """Whatever the schedule."""
    breaker = Breaker(1, reset_after=1, clock=clock)
    breaker.record_failure()
    clock.advance(1)
    start = threading.Barrier(8)
    allowed = []

    def ask():
        start.wait(10)
        allowed.append(breaker.allow())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert allowed.count(True) == 1


def in_child(check):
    """Return whether a check is true in a forked child."""
    child = os.fork()
    if child == 0:
        is_true = False
        try:
            is_true = bool(check())
        finally:
            os._exit(0 if is_true else 1)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_does_not_inherit_a_lock_that_is_held(breaker):
    """A fork copies the lock while another thread of the parent holds it."""
    with breaker._lock:
        assert in_child(lambda: breaker._lock.acquire(timeout=2))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_probes_for_itself(breaker, clock):
    """The parent's probe never reports to the child; its outage is the child's too."""
    fail(breaker, 3)
    assert in_child(lambda: breaker.state is BreakerState.OPEN and not breaker.allow())
    clock.advance(1)
    assert breaker.allow()
    assert in_child(breaker.allow)
    assert not breaker.allow()


@pytest.mark.parametrize(
    "options", [{"failures": 0}, {"reset_after": 0}, {"reset_after": float("nan")}, {"probe_timeout": -1}]
)
def test_a_breaker_that_cannot_work_is_refused(options):
    """When it is made."""
    with pytest.raises(ConfigurationError, match="got"):
        Breaker(**options)
