"""Passes over the ledger: run by workers, added up, and noted in the outcome."""

import time
from collections import Counter
from collections.abc import Callable, Sequence

from greencache.demo.crew import Crew, Member
from greencache.demo.display import Display
from greencache.demo.outcome import Moment, Outcome, Stage, add_up, combine_stats
from greencache.demo.worker import Share, Worker

__all__ = ["Passes"]


class Passes:
    """Runs passes over the ledger.

    Args:
        crew: All workers.
        display: Shows how far a pass is.
        outcome: Takes what came out.
    """

    def __init__(self, crew: Crew, display: Display, outcome: Outcome) -> None:
        self._crew = crew
        self._display = display
        self._outcome = outcome
        self._started: float | None = None

    def run(
        self,
        name: str,
        members: Sequence[Member],
        rows: int,
        *,
        limit: int | None = None,
        on_progress: Callable[[int], None] = lambda _: None,
    ) -> list[Share]:
        """Let workers do their rows once.

        Args:
            name: What the pass shows.
            members: Which workers.
            rows: How many rows they do together.
            limit: How many rows each does at most.
            on_progress: Is called with how many rows of this pass are done.

        Returns:
            What each worker found.
        """
        done = 0
        self._now()  # the clock starts with the first row, not with the first progress
        with self._display.step(name, rows) as advance:

            def note(portion: int) -> None:
                nonlocal done
                done += portion
                advance(portion)
                self._outcome.progress.append((self._now(), portion))
                on_progress(done)

            shares = self._crew.ask_with_progress(members, note, Worker.run_pass, limit)
        self._outcome.stages.append(_stage(name, shares))
        return shares

    def mark(self, name: str) -> None:
        """Note that something happened."""
        self._outcome.moments.append(Moment(self._now(), name))

    def _now(self) -> float:
        if self._started is None:
            self._started = time.monotonic()
        return time.monotonic() - self._started


def _stage(name: str, shares: Sequence[Share]) -> Stage:
    errors: Counter[str] = Counter()
    for share in shares:
        errors.update(share.errors)
    return Stage(
        name=name,
        rows=sum(share.rows for share in shares),
        # Workers begin and end within milliseconds of each other, unless one of them is in trouble.
        seconds=max(share.seconds for share in shares),
        grams=add_up(grams for share in shares for grams in share.grams.values()),
        stats=combine_stats(share.stats for share in shares),
        errors=dict(errors),
    )
