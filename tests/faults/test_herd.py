"""Ten thousand callers in eight processes miss the same key at the same time; fewer in a short run."""

import pytest

from tests.faults.figures import IS_LONG
from tests.faults.history import percentiles
from tests.faults.loader_client import Caller

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

PROCESSES, CALLERS = 8 if IS_LONG else 2, 1_250


def test_all_misses_of_one_key_are_one_load(redis_servers, figure):
    """All of them wait while the one loader hangs, and return when it does."""
    urls = {"l3": redis_servers().url}
    rounds, loads, waits = 5 if IS_LONG else 1, 0, []
    callers = [Caller(urls, lease_ttl=30.0, patience=60.0) for _ in range(PROCESSES)]
    try:
        for number in range(rounds):
            key = f"hot-{number}"
            for caller in callers:
                caller.await_ready().call(key, "hang", threads=CALLERS)
            for caller in callers:
                caller.await_asking(key, CALLERS)
            for caller in callers:
                caller.release()
            answers = [answer for caller in callers for answer in caller.await_answers(key, CALLERS)]
            ended = [load for caller in callers for load in caller.loads(key)]
            loads += len(ended)
            waits += [answer.ended - ended[0].ended for answer in answers]
            for caller in callers:
                caller.hold()
    finally:
        for caller in callers:
            caller.kill()
    name = f"loads for {PROCESSES * CALLERS:,} misses"
    figure(66, name, loads / rounds, bound="== 1", wait_after_load=percentiles(waits))
