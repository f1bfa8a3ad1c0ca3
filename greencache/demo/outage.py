"""The shared Redis is killed in the middle of the work, stays away, and comes back."""

import time
from collections.abc import Callable
from typing import Final

from greencache.demo.outcome import Stage
from greencache.demo.servers import HOSTS, L3_VARIABLE
from greencache.demo.setting import Job
from greencache.demo.worker import Worker
from greencache.testing import wait_until
from greencache.typing import CacheTier, Seconds

__all__ = ["survive_an_outage"]

_FIRST, _SECOND = HOSTS
_ROWS_PER_WORKER: Final = 5_000
_PATIENCE: Final[Seconds] = 30.0


def survive_an_outage(job: Job) -> None:
    """Kill the shared Redis while all workers work, let them go on, and start it again."""
    if not job.servers.l3_can_be_killed:
        job.outcome.notes.append(
            f"The outage of L3 is not shown: {job.outcome.servers['L3']} is not a process of this demo. "
            f"Unset {L3_VARIABLE}, or install greencache[embedded]."
        )
        return
    limit = min(_ROWS_PER_WORKER, job.rows // job.settings.workers)
    _run(job, "L3 killed", limit, on_progress=_once_after(limit // 2, lambda: _kill(job)))
    _run(job, "L3 down", limit)
    # The second host has never asked for these, so neither its L1 nor its L2 has them.
    job.audit(job.hosts[_SECOND], "without L3, what a host does not know yet is found in L4")
    _check_errors(job)
    with job.display.step("Starting the shared Redis again"):
        job.servers.start_l3()
        job.passes.mark("L3 back")
        _await_return(job)
    _check_return(job, limit)


def _kill(job: Job) -> None:
    job.servers.kill_l3()
    job.passes.mark("L3 killed")


def _once_after(rows: int, act: Callable[[], None]) -> Callable[[int], None]:
    is_done = False

    def on_progress(done: int) -> None:
        nonlocal is_done
        if not is_done and done >= rows:
            is_done = True
            act()

    return on_progress


def _run(job: Job, name: str, limit: int, on_progress: Callable[[int], None] = lambda _: None) -> Stage:
    """Let all workers of both hosts do the same rows, and check what they find."""
    rows = limit * job.settings.workers
    members = job.everybody
    shares = job.passes.run(name, members, rows * len(job.hosts), limit=limit, on_progress=on_progress)
    job.check_emissions(f"{name}: emissions as without the cache", shares, rows, times=len(job.hosts))
    return job.outcome.stages[-1]


def _check_errors(job: Job) -> None:
    outcome = job.outcome
    stages = [stage for stage in outcome.stages if stage.name in ("L3 killed", "L3 down")]
    outcome.errors_during_outage = sum(sum(stage.errors.values()) for stage in stages)
    names = sorted({name for stage in stages for name in stage.errors})
    rows = sum(stage.rows for stage in stages)
    found = f"{outcome.errors_during_outage} in {rows:,} rows {' '.join(names)}".strip()
    outcome.check("no lookup fails while L3 is away", outcome.errors_during_outage == 0, found)


def _await_return(job: Job) -> None:
    wait_until(
        lambda: set(job.crew.ask(job.everybody, Worker.status, CacheTier.L3)) == {"up"},
        reason="every worker finds L3 up again",
        deadline=_PATIENCE,
        interval=0.1,
    )


def _check_return(job: Job, limit: int) -> None:
    """Run until the shared Redis, which came back empty, has been filled and answers."""
    started = time.monotonic()
    while True:
        stage = _run(job, "L3 back", limit)
        hits = stage.stats[CacheTier.L3].hits
        if hits or time.monotonic() - started > _PATIENCE:
            break
        job.outcome.stages.pop()
        job.outcome.checks.pop()
    job.outcome.check("started again, L3 fills and answers", hits > 0, f"{hits:,} hits")
