"""The shared Redis is killed in the middle of the work, stays away, and comes back."""

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Final

from greencache.demo.figures import INTENSITY_KEY
from greencache.demo.servers import HOSTS, L3_VARIABLE
from greencache.demo.setting import Job
from greencache.demo.worker import Worker
from greencache.errors import InvalidationPending
from greencache.testing import WaitTimeoutError, wait_until
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
    _run(job, "L3 killed", HOSTS, limit, on_progress=_once_after(limit // 2, lambda: _kill(job)))
    # The second host has never asked for these, so neither its L1 nor its L2 has them.
    job.audit(job.hosts[_SECOND], "without L3, what a host does not know yet is found in L4")
    _run(job, "L3 down", HOSTS, limit)
    _check_errors(job)
    _bring_back(job)
    _run(job, "L3 back", [_FIRST], limit)
    _run(job, "L3 back, B", [_SECOND], limit)
    hits = job.outcome.stages[-1].stats[CacheTier.L3].hits
    job.outcome.check("started again, L3 fills and answers", hits > 0, f"{hits:,} hits")


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


def _run(
    job: Job,
    name: str,
    hosts: Sequence[str],
    limit: int,
    on_progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Let the workers of each host do the same rows, and check what they find."""
    rows = limit * job.settings.workers
    members = [member for host in hosts for member in job.hosts[host]]
    shares = job.passes.run(name, members, rows * len(hosts), limit=limit, on_progress=on_progress)
    job.check_emissions(f"{name}: emissions as without the cache", shares, rows, times=len(hosts))


def _check_errors(job: Job) -> None:
    outcome = job.outcome
    stages = [stage for stage in outcome.stages if stage.name in ("L3 killed", "L3 down")]
    outcome.errors_during_outage = sum(sum(stage.errors.values()) for stage in stages)
    names = sorted({name for stage in stages for name in stage.errors})
    rows = sum(stage.rows for stage in stages)
    found = f"{outcome.errors_during_outage} in {rows:,} rows {' '.join(names)}".strip()
    outcome.check("no lookup fails while L3 is away", outcome.errors_during_outage == 0, found)


def _bring_back(job: Job) -> None:
    """Start the shared Redis again, and make everybody forget all intensities, so that they go through it."""
    started = time.monotonic()
    with job.display.step("Starting the shared Redis again"), contextlib.suppress(WaitTimeoutError):
        job.servers.start_l3()
        job.passes.mark("L3 back")
        wait_until(lambda: _is_back(job), reason="all find L3 up again", deadline=_PATIENCE, interval=0.1)
        wait_until(
            lambda: _forget(job), reason="the invalidation reaches L3", deadline=_PATIENCE, interval=0.1
        )
    seconds = time.monotonic() - started
    is_back = _is_back(job)
    found = f"{seconds:.1f} s, start and invalidation included" if is_back else f"not within {seconds:.0f} s"
    job.outcome.check("every worker finds L3 again", is_back, found)


def _is_back(job: Job) -> bool:
    # More than that the server answers: circuit breakers have noticed, and what was queued is replayed.
    return all(job.crew.ask(job.everybody, Worker.reaches_all_tiers))


def _forget(job: Job) -> bool:
    try:
        job.cache.invalidate(pattern=f"{INTENSITY_KEY.prefix}*")
    except InvalidationPending:
        return False
    return True
