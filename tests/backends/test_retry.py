"""Retries: tenacity's attempts and sleeps, entered with the first failure on record."""

import time

import pytest
import tenacity

from greencache.backends.retry import RefusedError, RetryPolicy, TransientError, retry_after
from greencache.clock import SystemClock
from greencache.errors import ConfigurationError, TierUnavailableError
from greencache.testing import FakeClock


class Flaky:
    """Fails a number of times, then returns how often it was called."""

    def __init__(self, failures, error=TransientError):
        self.failures = failures
        self.error = error
        self.calls = 0

    def __call__(self):
        """Fail, or return."""
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error(f"failure {self.calls}", may_have_run=False)
        return self.calls


def run(call, policy, *, clock=None, give_up_at=float("inf"), sleeps=None, may_retry=None):
    """Make the first attempt bare and the others as the backends do."""
    sleeps = [] if sleeps is None else sleeps
    try:
        return call()
    except TransientError as error:
        return retry_after(
            error,
            call,
            policy,
            may_retry=may_retry or (lambda failure: isinstance(failure, TransientError)),
            clock=clock or FakeClock(),
            give_up_at=give_up_at,
            sleep=sleeps.append,
        )


@pytest.mark.parametrize("failures", [0, 1, 2, 3, 4, 9])
@pytest.mark.parametrize(
    "policy",
    [RetryPolicy(), RetryPolicy(retries=5, base=0.01, factor=3, max_wait=0.2), RetryPolicy(retries=0)],
)
def test_makes_the_attempts_and_sleeps_of_plain_tenacity(failures, policy):
    """Entering late changes nothing that can be seen from outside."""
    plain, ours = Flaky(failures), Flaky(failures)
    plain_sleeps, our_sleeps = [], []
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(policy.retries + 1),
        wait=tenacity.wait_exponential(policy.base, policy.max_wait, policy.factor),
        sleep=plain_sleeps.append,
        reraise=True,
    )
    outcomes = []
    for run_it in (lambda: retrying(plain), lambda: run(ours, policy, sleeps=our_sleeps)):
        try:
            outcomes.append(run_it())
        except TransientError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]
    assert ours.calls == plain.calls
    assert our_sleeps == plain_sleeps


def test_the_default_waits_are_a_tenth_two_tenths_four_tenths_of_a_second():
    """Three retries by default."""
    sleeps = []
    with pytest.raises(TransientError, match="failure 4"):
        run(Flaky(9), RetryPolicy(), sleeps=sleeps)
    assert sleeps == pytest.approx([0.1, 0.2, 0.4])


def test_an_error_that_may_not_be_retried_ends_it_unchanged():
    """A refusal in the second attempt is what the caller gets."""
    refusal = RefusedError("no")
    calls = []

    def call():
        calls.append(1)
        raise refusal

    with pytest.raises(RefusedError) as caught:
        retry_after(
            TransientError("first", may_have_run=False),
            call,
            RetryPolicy(),
            may_retry=lambda failure: isinstance(failure, TransientError),
            clock=FakeClock(),
            give_up_at=float("inf"),
            sleep=lambda _: None,
        )
    assert caught.value is refusal
    assert len(calls) == 1


def test_the_first_failure_is_raised_when_it_may_not_be_retried():
    """Nothing is tried again then."""
    flaky = Flaky(9)
    with pytest.raises(TransientError, match="failure 1"):
        run(flaky, RetryPolicy(), may_retry=lambda _: False)
    assert flaky.calls == 1


def test_no_sleep_goes_past_the_deadline():
    """With 0.25 s left after the first failure, there is time for 0.1 s but not for 0.2 s more."""
    clock = FakeClock()
    sleeps = []
    flaky = Flaky(9)
    with pytest.raises(TransientError):
        retry_after(
            TransientError("first", may_have_run=False),
            flaky,
            RetryPolicy(),
            may_retry=lambda _: True,
            clock=clock,
            give_up_at=clock.now() + 0.25,
            sleep=lambda seconds: (sleeps.append(seconds), clock.advance(seconds)),
        )
    assert sleeps == [0.1]
    assert flaky.calls == 1


def test_full_jitter_waits_a_random_part():
    """Between nothing and what would be waited without it."""
    sleeps = []
    for _ in range(50):
        with pytest.raises(TransientError):
            run(Flaky(9), RetryPolicy(full_jitter=True), sleeps=sleeps)
    for first in range(3):
        waits = sleeps[first::3]
        assert all(0 <= wait <= 0.1 * 2**first for wait in waits)
        assert len(set(waits)) > 10


def test_sleep_is_looked_up_when_it_is_needed(monkeypatch):
    """`time.sleep` may be patched by gevent after greencache was imported."""
    sleeps = []
    monkeypatch.setattr(time, "sleep", sleeps.append)
    with pytest.raises(TransientError):
        retry_after(
            TransientError("first", may_have_run=False),
            Flaky(9),
            RetryPolicy(retries=1),
            may_retry=lambda _: True,
            clock=SystemClock(),
            give_up_at=float("inf"),
        )
    assert sleeps == [0.1]


def test_an_exception_that_unwinds_the_stack_is_never_retried():
    """A greenlet's end or Ctrl-C goes through."""

    class Unwinding(BaseException):
        pass

    def call():
        raise Unwinding

    with pytest.raises(Unwinding):
        retry_after(
            TransientError("first", may_have_run=False),
            call,
            RetryPolicy(),
            may_retry=lambda failure: isinstance(failure, TransientError),
            clock=FakeClock(),
            give_up_at=float("inf"),
            sleep=lambda _: None,
        )


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"retries": -1}, "retries of 0 or more, got -1"),
        ({"base": -0.1}, "base of 0 or more, got -0.1"),
        ({"base": float("nan")}, "finite base"),
        ({"factor": 0.5}, "factor of 1 or more, got 0.5"),
        ({"max_wait": float("inf")}, "finite max_wait"),
    ],
)
def test_a_policy_that_cannot_work_is_refused(options, says):
    """When it is made, not when it is needed."""
    with pytest.raises(ConfigurationError, match=says):
        RetryPolicy(**options)


def test_all_outages_are_one_exception_type():
    """Whoever catches `TierUnavailableError` has caught all."""
    assert issubclass(TransientError, TierUnavailableError)
    assert issubclass(RefusedError, TierUnavailableError)
