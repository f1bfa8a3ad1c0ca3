"""Eight processes of eight threads on one cold key: one load; fewer processes in a short run."""

import functools
import json
import statistics
import threading
import time

import pytest

from greencache import CacheManager
from tests.faults.child import SPAWN
from tests.faults.figures import IS_LONG
from tests.faults.history import percentiles

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

PROCESSES = 8 if IS_LONG else 4
THREADS = 8
ROUNDS = 20 if IS_LONG else 5
LOAD_SECONDS = 0.2
LONGEST_WAIT = 60.0


class Caller:
    """One of the processes: threads that all ask for the same key at the same time, round after round.

    Args:
        urls: Of the cache.
        together: The barrier of all threads of all processes.
    """

    def __init__(self, urls, together):
        self._cache = CacheManager.from_urls(**urls, namespace="stampede").initialize(strict=True)
        self._together = together
        self.loads = []
        """Round and time of the end of each load."""
        self.returns = []
        """Round and time of each return."""
        self.errors = []

    def run(self):
        """Go through all rounds."""
        threads = [threading.Thread(target=self._ask_in_all_rounds, daemon=True) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(ROUNDS * LONGEST_WAIT)
        self._cache.close()

    def _ask_in_all_rounds(self):
        try:
            for number in range(ROUNDS):
                self._together.wait(LONGEST_WAIT)
                value = self._cache.get_or_load(f"cold-{number}", functools.partial(self._load, number))
                self.returns.append((number, time.monotonic()))
                assert value == number
        except Exception as error:
            self.errors.append(repr(error))
            self._together.abort()

    def _load(self, number):
        time.sleep(LOAD_SECONDS)
        self.loads.append((number, time.monotonic()))
        return number


def run_caller(urls, together, report):
    """Take part; what a process is started with."""
    caller = Caller(urls, together)
    caller.run()
    report.write_text(json.dumps({"loads": caller.loads, "returns": caller.returns, "errors": caller.errors}))


def run_callers(urls_of, folder):
    """Run all processes and return what each reports."""
    together = SPAWN.Barrier(PROCESSES * THREADS)
    reports = [folder / f"{index}.json" for index in range(PROCESSES)]
    callers = [
        SPAWN.Process(target=run_caller, args=(urls_of(index), together, report), daemon=True)
        for index, report in enumerate(reports)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(ROUNDS * LONGEST_WAIT)
    assert [caller.exitcode for caller in callers] == [0] * PROCESSES
    return [json.loads(report.read_text()) for report in reports]


def test_all_callers_on_one_cold_key_load_once(redis_servers, tmp_path, figure):
    """Time and again, by processes on two hosts; and all get what the one load returned."""
    hosts, l3 = [redis_servers().url for _ in range(2)], redis_servers().url
    reports = run_callers(lambda index: {"l2": hosts[index % 2], "l3": l3}, tmp_path)
    assert [report["errors"] for report in reports] == [[]] * PROCESSES
    loads = [each for report in reports for each in report["loads"]]
    returns = [each for report in reports for each in report["returns"]]
    loaded = dict(loads)
    waits = [at - loaded[number] for number, at in returns]
    last_waits = [max(at - loaded[n] for n, at in returns if n == number) for number in loaded]
    figure(
        "P4",
        f"loads a round, {PROCESSES * THREADS} callers, {ROUNDS} rounds",
        len(loads) / ROUNDS,
        bound="== 1",
        wait_after_load=percentiles(waits),
        last_wait_after_load=percentiles(last_waits),
        mean_last_wait_ms=round(1000 * statistics.mean(last_waits), 3),
    )
    assert sorted(number for number, _ in loads) == list(range(ROUNDS))
    assert len(returns) == ROUNDS * PROCESSES * THREADS
