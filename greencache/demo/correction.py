"""A factor is corrected in the database, and every worker must hear of it."""

import contextlib
import time
from decimal import Decimal
from typing import Final

from greencache.demo.figures import REFERENCE_SOURCE
from greencache.demo.setting import Job
from greencache.demo.worker import Worker
from greencache.testing.waiting import WaitTimeoutError, wait_until
from greencache.typing import Seconds

__all__ = ["correct_a_factor"]

_GRID: Final = (REFERENCE_SOURCE, "CHN")
_CORRECTION: Final = Decimal("1.5")
_MAX_STALENESS: Final[Seconds] = 2.0


def correct_a_factor(job: Job) -> None:
    """Correct the world's busiest factor by SQL alone, and count who still reads the old one."""
    with job.display.step("Correcting a factor in the database, which tells the cache"):
        old = job.database.intensity(*_GRID)
        assert old is not None  # noqa: S101 -- it is among the figures
        new = old + _CORRECTION
        before = {job.lookup.known_intensity(*_GRID), *job.crew.ask(job.everybody, Worker.read, *_GRID)}
        job.outcome.check("before it every process reads the old value", before == {old}, _shown(before))
        loads = job.loads()
        published = job.database.correct_intensity(*_GRID, new)
        # Nobody calls the cache: the table is watched, and names this key and that of the intensity.
        job.corrections[published] = new
        job.passes.mark("factor corrected")
        _check_readers(job, new)
        _check_view(job, old, new, job.loads() - loads)


def _check_readers(job: Job, new: Decimal) -> None:
    outcome = job.outcome
    readings = job.crew.ask(job.everybody, Worker.await_correction, *_GRID, new, _MAX_STALENESS)
    with contextlib.suppress(WaitTimeoutError):  # what is read from now on counts as stale
        reason = "this process reads the corrected figure"
        wait_until(lambda: job.lookup.known_intensity(*_GRID) == new, reason=reason, deadline=_MAX_STALENESS)
    own = job.lookup.known_intensity(*_GRID)
    outcome.stale_after_invalidate = (own != new) + sum(reading.stale for reading in readings)
    slowest = max(reading.seconds for reading in readings)
    stale = outcome.stale_after_invalidate
    found = f"{stale} stale reads; the last worker knew after {slowest * 1000:.0f} ms"
    outcome.check("after the commit nobody reads it any more", stale == 0, found)


def _check_view(job: Job, old: Decimal, new: Decimal, loads: int) -> None:
    """Until the view is refreshed it has the old value, which nobody may be served."""
    outcome = job.outcome
    in_view = job.database.intensity_in_view(*_GRID)
    found = f"{loads} loader calls while the view had {in_view} g/kWh"
    outcome.check("until the view is refreshed the loader answers", loads > 0 and in_view == old, found)
    started = time.perf_counter()
    job.views.refresh()
    seconds = time.perf_counter() - started
    in_view = job.database.intensity_in_view(*_GRID)
    found = f"{in_view} g/kWh, refreshed in {seconds * 1000:.0f} ms"
    outcome.check("refreshed, the view has the new value", in_view == new, found)


def _shown(values: set[Decimal | None]) -> str:
    return ", ".join(f"{value} g/kWh" for value in values)
