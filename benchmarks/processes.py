"""Runs jobs in processes of their own, at the same time; no wait is without a deadline."""

import multiprocessing
import multiprocessing.connection
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final

from greencache.typing import Seconds

__all__ = ["LONGEST_WAIT", "SPAWN", "BenchmarkError", "Job", "run_together"]

# Nothing of the parent's sockets and threads is inherited.
SPAWN: Final = multiprocessing.get_context("spawn")

LONGEST_WAIT: Final[Seconds] = 60.0
"""How long anybody waits for anybody else in one step of a benchmark."""

_FAREWELL: Final[Seconds] = 5.0

Job = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function that can be pickled, and its arguments."""


class BenchmarkError(RuntimeError):
    """A process failed, died, or did not report in time."""


def run_together(jobs: Sequence[Job], *, deadline: Seconds) -> list[Any]:
    """Run each job in a process of its own and return what they return, in their order.

    Args:
        jobs: What to run; what they return must be picklable.
        deadline: Seconds until all must have reported.

    Raises:
        BenchmarkError: If one does not report; none is left running.
    """
    members: list[tuple[Connection, BaseProcess]] = []
    try:
        for function, arguments in jobs:
            members.append(_start(function, arguments))
        return _collect([connection for connection, _ in members], time.monotonic() + deadline)
    finally:
        for connection, process in members:
            _end(connection, process)


def _start(function: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Connection, BaseProcess]:
    ours, theirs = SPAWN.Pipe(duplex=False)
    process = SPAWN.Process(target=_run, args=(theirs, function, arguments), daemon=True)
    process.start()
    theirs.close()
    return ours, process


def _run(connection: Connection, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        report = True, function(*arguments)
    except Exception:
        # Whatever it is, whoever waits for the report is to know; as text, because not all can be pickled.
        report = False, traceback.format_exc()
    connection.send(report)


def _collect(connections: Sequence[Connection], ends_at: Seconds) -> list[Any]:
    reports: dict[Connection, Any] = {}
    while len(reports) < len(connections):
        waiting = [connection for connection in connections if connection not in reports]
        ready = multiprocessing.connection.wait(waiting, timeout=max(0.0, ends_at - time.monotonic()))
        if not ready:
            raise BenchmarkError(f"expected a report of every process in time, {len(waiting)} sent none")
        for connection in waiting:
            if connection in ready:
                reports[connection] = _receive(connection)
    return [reports[connection] for connection in connections]


def _receive(connection: Connection) -> Any:
    try:
        is_good, report = connection.recv()
    except EOFError as error:
        raise BenchmarkError("a process ended without a report") from error
    if not is_good:
        raise BenchmarkError(f"a process failed:\n{report}")
    return report


def _end(connection: Connection, process: BaseProcess) -> None:
    connection.close()
    process.join(_FAREWELL if process.exitcode is None else 0)
    if process.is_alive():
        process.kill()
        process.join(_FAREWELL)
    process.close()
