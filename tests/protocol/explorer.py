"""Every order in which the actors of a scenario can do their steps.

Depth first, by doing the steps of a schedule anew from the start. Orders that differ only in steps that
commute count as one (sleep sets), and what has been seen before is not continued (state matching; for both
together see Godefroid, Holzmann and Pirottin, "State-Space Caching Revisited", CAV 1992).
"""

import contextlib
import dataclasses
import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from .scheduler import Run, ViolationError, ended


class World(Protocol):
    """What the actors of a run act upon."""

    run: Run

    def fingerprint(self) -> int:
        """Return what tells this state from all others, those of the actors included."""

    def judge(self) -> None:
        """Raise `ViolationError` if the world is not as it must be at rest."""


@dataclasses.dataclass
class Report:
    """What an exploration has found.

    Args:
        states: How many different states were reached.
        schedules: How many orders were followed to their end.
        executions: How many were begun.
        longest: Steps in the longest of them.
        seconds: How long that took.
        rests: The states in which schedules ended.
        violation: What must never happen and did; exploration ends there.
        trace: The steps that led to it.
    """

    states: int = 0
    schedules: int = 0
    executions: int = 0
    longest: int = 0
    seconds: float = 0.0
    rests: set[int] = dataclasses.field(default_factory=set)
    violation: str = ""
    trace: list[str] = dataclasses.field(default_factory=list)

    def figures(self) -> dict[str, object]:
        """Return what is worth keeping."""
        figures = dataclasses.asdict(self)
        figures["rests"] = len(self.rests)
        return figures

    def explain(self) -> str:
        """Return the violation and how it came about."""
        return "\n  ".join([self.violation, *self.trace])


class _Branch(NamedTuple):
    """An order that was not followed yet.

    Args:
        schedule: Who did a step, in order; the last one only has to.
        histories: What the actors had seen before the last step.
        asleep: Those whose next step need not be followed, since an order like it is.
    """

    schedule: tuple[str, ...]
    histories: tuple[int, ...]
    asleep: frozenset[str]


class Explorer:
    """Explores a scenario to the end, or to the first violation.

    Args:
        begin: Returns a new world, in its first state, the same each time.
        limit: Executions after which it gives up.
        reduces: Whether orders that make no difference are left out.
    """

    def __init__(self, begin: Callable[[], World], *, limit: int = 100_000, reduces: bool = True) -> None:
        self._begin = begin
        self._limit = limit
        self._reduces = reduces
        self._asleep: dict[int, frozenset[str]] = {}
        self._todo: list[_Branch] = [_Branch((), (), frozenset())]
        self._schedule: list[str] = []
        self.report = Report()

    def explore(self) -> Report:
        """Return what was found."""
        started = time.perf_counter()
        report = self.report
        while self._todo and not report.violation:
            if report.executions >= self._limit:
                raise TimeoutError(f"expected an end within {self._limit} executions; make it smaller")
            report.executions += 1
            self._execute(self._todo.pop())
        report.states = len(self._asleep) + len(report.rests)
        report.seconds = round(time.perf_counter() - started, 3)
        return report

    def _execute(self, branch: "_Branch") -> None:
        world = self._begin()
        with ended(world.run) as run:
            try:
                self._schedule = list(branch.schedule)
                run.repeat(branch.schedule[:-1], branch.histories)
                for name in branch.schedule[-1:]:
                    run.perform(name)
                self._go_on(world, branch.asleep)
            except ViolationError as violation:
                self.report.violation = str(violation)
        # Only now: names belong to one run at a time.
        if self.report.violation:
            self.report.trace = self._retrace()

    def _retrace(self) -> list[str]:
        """Return what the last schedule did, step by step."""
        with ended(self._begin().run) as run, contextlib.suppress(ViolationError):
            for name in self._schedule:
                run.perform(name)
        return run.trace

    def _go_on(self, world: World, asleep: frozenset[str]) -> None:
        run, schedule = world.run, self._schedule
        while True:
            ready, state = run.ready, world.fingerprint()
            self.report.longest = max(self.report.longest, len(schedule))
            if not ready:
                self._rest(world, state)
                return
            names, done = self._unexplored(run, state, ready, asleep)
            if not names:
                return
            chosen, *others = names
            for number, name in enumerate(others, start=1):
                sleeping = self._still_asleep(run, name, done | asleep | frozenset(names[:number]))
                self._todo.append(_Branch((*schedule, name), run.histories, sleeping))
            asleep = self._still_asleep(run, chosen, done | asleep)
            schedule.append(chosen)
            run.perform(chosen)

    def _unexplored(
        self, run: Run, state: int, ready: list[str], asleep: frozenset[str]
    ) -> tuple[list[str], frozenset[str]]:
        """Return who is still to be followed from a state, and who has been."""
        known = self._asleep.get(state)
        self._asleep[state] = asleep if known is None else known & asleep
        wanted = ready if known is None else [name for name in ready if name in known]
        done = frozenset() if known is None else frozenset(ready) - known
        alone = run.alone(ready) if self._reduces else None
        if alone is not None:
            wanted = [name for name in wanted if name == alone]
            done &= {alone}
        return [name for name in wanted if name not in asleep], done

    def _still_asleep(self, run: Run, chosen: str, sleepers: frozenset[str]) -> frozenset[str]:
        if not self._reduces:
            return frozenset()
        step = run.actors[chosen].next
        return frozenset(
            name for name in sleepers if name != chosen and run.actors[name].next.commutes_with(step)
        )

    def _rest(self, world: World, state: int) -> None:
        waiting = [
            actor for actor in world.run.actors.values() if not actor.is_done and not actor.is_listener
        ]
        if waiting:
            steps = ", ".join(f"{actor.name} before {actor.next.label}" for actor in waiting)
            raise ViolationError(f"nobody can go on: {steps}")
        self.report.schedules += 1
        if state not in self.report.rests:
            self.report.rests.add(state)
            world.judge()
