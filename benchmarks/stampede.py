"""One cold key, asked for by all threads of many processes at once: who loads, how long the others wait."""

import argparse
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple, Protocol

from benchmarks.adapters import LOADING, Loading
from benchmarks.adapters.base import why_not
from benchmarks.processes import LONGEST_WAIT, SPAWN, run_together
from benchmarks.report import milliseconds, percentiles, print_table
from greencache.testing import RedisServer
from greencache.typing import Seconds

__all__ = ["Call", "figures_of", "run", "show"]

VALUE: Final = b"value"


class Barrier(Protocol):
    """Lets all pass once all are there."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the others."""

    def abort(self) -> None:
        """Tell all who wait that it is in vain."""


class Call(NamedTuple):
    """One call of one thread; times in seconds of the machine's monotonic clock."""

    round: int
    asked_at: Seconds
    loaded_at: Sequence[Seconds]
    """When each load of its own loader ended; empty for one who waited."""
    returned_at: Seconds


class Caller:
    """One of the processes.

    Args:
        contender: Through what it asks.
        url: The Redis.
        together: The barrier of all threads of all processes.
        options: As of `run`.
    """

    def __init__(
        self, contender: type[Loading], url: str, together: Barrier, options: argparse.Namespace
    ) -> None:
        self._cache = contender(url)
        self._together = together
        self._options = options

    def run(self) -> list[Call]:
        """Go through all rounds with all threads."""
        threads = self._options.threads
        with ThreadPoolExecutor(threads) as pool:
            asking = [pool.submit(self._ask_in_all_rounds) for _ in range(threads)]
            calls = [call for each in asking for call in each.result()]
        self._cache.close()
        return calls

    def _ask_in_all_rounds(self) -> list[Call]:
        try:
            # One round more, which is not counted: it makes the connections.
            return [self._ask(number) for number in range(self._options.rounds + 1)][1:]
        except BaseException:
            self._together.abort()
            raise

    def _ask(self, number: int) -> Call:
        loaded_at: list[Seconds] = []

        def load() -> bytes:
            time.sleep(self._options.load_time)
            loaded_at.append(time.monotonic())
            return VALUE

        self._together.wait(LONGEST_WAIT)
        asked_at = time.monotonic()
        found = self._cache.get_or_load(f"cold-{number}", load)
        returned_at = time.monotonic()
        assert found == VALUE
        return Call(number, asked_at, loaded_at, returned_at)


def call_in_all_rounds(
    contender: type[Loading], url: str, together: Barrier, options: argparse.Namespace
) -> list[Call]:
    """Be one of the processes."""
    return Caller(contender, url, together, options).run()


def figures_of(calls: Sequence[Call]) -> dict[str, Any]:
    """Return what the calls of all rounds amount to; waits count from the end of the round's first load."""
    rounds: dict[int, list[Call]] = {}
    for call in calls:
        rounds.setdefault(call.round, []).append(call)
    loads = [sum(len(call.loaded_at) for call in each) for each in rounds.values()]
    waits = [wait for each in rounds.values() for wait in _waits(each)]
    walls = [max(c.returned_at for c in each) - min(c.asked_at for c in each) for each in rounds.values()]
    return {
        "rounds": len(rounds),
        "loads": sum(loads),
        "most loads in a round": max(loads),
        "waiters": len(waits),
        "waits ms": percentiles(waits),
        "round ms": {"p50": milliseconds(statistics.median(walls)), "max": milliseconds(max(walls))},
    }


def _waits(calls: Sequence[Call]) -> list[Seconds]:
    loaded_at = min(ended for call in calls for ended in call.loaded_at)
    return [call.returned_at - loaded_at for call in calls if not call.loaded_at]


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure all contenders on one Redis.

    Args:
        options: `processes`, `threads` of each, `rounds`, and `load_time` of the loader in seconds.
    """
    with RedisServer() as server:
        return {
            "server": f"{server.version} ({server.source})",
            "settings": {
                name: getattr(options, name) for name in ("processes", "threads", "rounds", "load_time")
            },
            "contenders": {each.name: _measure(each, server, options) for each in LOADING},
        }


def _measure(contender: type[Loading], server: RedisServer, options: argparse.Namespace) -> dict[str, Any]:
    reason = why_not(contender, server.url, lambda opened: opened.get_or_load("probe", lambda: VALUE))
    if reason is not None:
        return {"not measured": reason}
    server.flush()
    together = SPAWN.Barrier(options.processes * options.threads)
    job = call_in_all_rounds, (contender, server.url, together, options)
    deadline = LONGEST_WAIT * (options.rounds + 2)
    reports = run_together([job] * options.processes, deadline=deadline)
    return {**figures_of([call for report in reports for call in report]), "note": contender.note}


def show(figures: dict[str, Any]) -> None:
    """Print the table."""
    settings = figures["settings"]
    title = (
        f"stampede: {settings['processes']} processes of {settings['threads']} threads on one cold key,"
        f" loader {milliseconds(settings['load_time']):g} ms, {settings['rounds']} rounds;"
        f" {figures['server']}\n"
        "waits: from the end of the round's first load to the return of each caller that did not load"
    )
    header = ("", "loads", "most/round", "wait p50 ms", "p99", "max", "round p50", "max")
    print_table(title, header, [(name, _row(each)) for name, each in figures["contenders"].items()])
    for name, each in figures["contenders"].items():
        print(f"  {name}: {each.get('note', 'not measured')}")


def _row(figures: dict[str, Any]) -> list[object] | str:
    if "not measured" in figures:
        return str(figures["not measured"])
    waits = figures["waits ms"] or dict.fromkeys(("p50", "p99", "max"))
    return [
        figures["loads"],
        figures["most loads in a round"],
        *waits.values(),
        *figures["round ms"].values(),
    ]
