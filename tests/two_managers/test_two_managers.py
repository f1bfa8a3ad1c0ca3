"""Two caches, and later a third, serve only what a model of the promises allows, whatever is done to them."""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import Flaky
from hypothesis.stateful import run_state_machine_as_test

from .ledger import PromiseBrokenError
from .machine import TwoManagersInTime, TwoManagersOnServers
from .mutations import MUTATIONS
from .servers import RedisWorld

IS_LONG = bool(os.environ.get("GREENCACHE_TEST_LONG"))
SETTINGS = settings(
    max_examples=5_000 if IS_LONG else 150,
    stateful_step_count=50,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def on_servers(redis_servers):
    """Return the machine that uses two servers."""
    host, shared = redis_servers().url, redis_servers().url

    class OnServers(TwoManagersOnServers):
        @staticmethod
        def make_world():
            return RedisWorld(host, shared)

    return OnServers


@pytest.mark.timeout(900 if IS_LONG else 120)
def test_two_managers_serve_what_they_may():
    """No value is older than what was forgotten, too old, or another key's; and all lookups are counted."""
    run_state_machine_as_test(TwoManagersInTime, settings=SETTINGS)


@pytest.mark.timeout(600 if IS_LONG else 120)
def test_two_managers_on_servers_serve_what_they_may(redis_servers):
    """The same on real Redis servers, with the real bus and its listeners."""
    few = settings(SETTINGS, max_examples=200 if IS_LONG else 15, stateful_step_count=30)
    run_state_machine_as_test(on_servers(redis_servers), settings=few)


@pytest.mark.parametrize("name", MUTATIONS)
def test_without_a_guard_a_promise_is_broken(name):
    """The same machine finds nothing with the guard in place."""
    found_fast = settings(SETTINGS, max_examples=1_000, phases=[Phase.generate], report_multiple_bugs=False)
    with MUTATIONS[name].applied(), pytest.raises(PromiseBrokenError):
        run_state_machine_as_test(TwoManagersInTime, settings=found_fast)


@pytest.mark.parametrize("name", ["a drop forgets L1", "drops of others are ignored"])
def test_without_a_guard_a_promise_is_broken_on_servers(name, redis_servers):
    """The same machine finds nothing with the guard in place.

    What it finds depends on when it was heard, so hypothesis, which tries the same again, may see it end
    in another way.
    """
    some = settings(SETTINGS, max_examples=300, stateful_step_count=30, phases=[Phase.generate])
    before = PromiseBrokenError.raised
    with MUTATIONS[name].applied(), pytest.raises((PromiseBrokenError, Flaky)):
        run_state_machine_as_test(on_servers(redis_servers), settings=some)
    assert PromiseBrokenError.raised > before
