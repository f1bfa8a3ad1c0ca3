"""Runs real threads in many orders, and says in how many a promise was kept.

The orders are made in two ways, with frontrun, which lets one thread at a time execute one bytecode:

- systematically, by dynamic partial order reduction, which reverses pairs of steps that touch the same thing.
  It is strong where no lock is taken. As of frontrun 0.7 it does not reverse two critical sections of a lock
  when something before one of them matters, and it does not see all that C code touches.
- drawn from a fixed seed, with runs of every length: few preemptions find most races, if only they may come
  anywhere (Musuvathi and Qadeer, "Iterative Context Bounding", PLDI 2007; Burckhardt et al., "A Randomized
  Scheduler with Probabilistic Guarantees of Finding Bugs", ASPLOS 2010).
"""

import abc
import contextlib
import dataclasses
import gc
import math
import os
import random
import time
from collections.abc import Callable, Iterator
from unittest import mock

import pytest

frontrun = pytest.importorskip(
    "frontrun", reason="needs the package frontrun, of the extra `test`, to order the steps of threads"
)
bytecode = pytest.importorskip("frontrun.bytecode")
tracing = pytest.importorskip("frontrun._tracing")

_STEPS = 3_000
"""How many steps of a schedule are drawn; if there are more, threads take turns."""
_LONGEST_BURST = 1_000
_PACKAGES = ("greencache.*",)
"""Whose steps are ordered, besides those of scenes, also where it is installed."""
_LONGEST_RUN = 30.0
"""Real seconds for one schedule; none takes more than a fraction of one, unless threads are stuck."""
_COLLECTED_EACH = 25
"""After how many scenes what is left of them is collected."""


class Scene(abc.ABC):
    """What a few threads do to one thing, and what must be true when all have ended.

    Attributes:
        threads: The method that each thread runs; it is given the number of its thread.
        clock: "virtual" if time passes only while all wait, "explored" if it may pass at any step.
        cost: Of so many schedules that a usual scene is given, it gets one, since it takes longer.
    """

    threads: tuple[str, ...]
    clock = "virtual"
    cost = 1

    def __init__(self) -> None:
        self.answers: list[object] = [None] * len(self.threads)
        """What each thread has got."""

    @classmethod
    def installed(cls) -> contextlib.AbstractContextManager[object]:
        """Return a context in which scenes of this kind can be made."""
        return contextlib.nullcontext()

    @abc.abstractmethod
    def judge(self) -> None:
        """Raise `AssertionError` unless all is as promised."""


@dataclasses.dataclass(frozen=True)
class Report:
    """What exploring a scene has found.

    Args:
        scene: Its name.
        systematic: How many schedules came from partial order reduction.
        drawn: How many more were drawn.
        seconds: How long that took.
        violation: What was broken, and how; empty if nothing was.
    """

    scene: str
    systematic: int
    drawn: int
    seconds: float
    violation: str

    @property
    def schedules(self) -> int:
        """How many schedules were explored."""
        return self.systematic + self.drawn

    def figures(self) -> dict[str, object]:
        """Return what is to be kept."""
        return {"schedules": self.schedules} | dataclasses.asdict(self)


def explore(scene: type[Scene], schedules: int) -> Report:
    """Return what was found in at least so many schedules, or in fewer up to the first violation.

    Args:
        scene: What is explored.
        schedules: How many; a quarter is systematic, unless there are fewer.
    """
    started = time.perf_counter()
    with scene.installed(), _no_collection():
        systematic, violation = _reduce(scene, math.ceil(schedules / 4))
        drawn, violation = (0, violation) if violation else _draw(scene, schedules - systematic)
    seconds = round(time.perf_counter() - started, 2)
    return Report(scene.__name__, systematic, drawn, seconds, violation)


def _reduce(scene: type[Scene], most: int) -> tuple[int, str]:
    """Explore systematically, and return how many schedules were tried and what was broken in the last."""
    begun = 0

    def begin() -> Scene:
        nonlocal begun
        begun += 1
        return _begin(scene, begun)

    try:
        # frontrun refuses to work in a pytest that was not begun by its own command, which is needed only to
        # see the system calls of C code; locks are replaced for each scene either way.
        with mock.patch.dict(os.environ, FRONTRUN_ACTIVE="1"):
            result = frontrun.explore(
                setup=begin,
                workers=_workers(scene),
                invariant=lambda played: played.judge() is None,
                max_executions=most,
                search="bit-reversal",
                reproduce_on_failure=0,
                trace_packages=list(_PACKAGES),
                timeout_per_run=_LONGEST_RUN,
                **_settings(scene),
            )
    except Exception as error:  # a thread raised what its scene does not expect
        return begun, f"{type(error).__name__}: {error}"
    found = "" if result.property_holds else str(result.explanation or result.inconclusive_reason)
    return int(result.num_explored), found


def _draw(scene: type[Scene], count: int) -> tuple[int, str]:
    """Explore at random, and return how many schedules were tried and what was broken in the last."""
    tracing.set_active_trace_filter(tracing.TraceFilter(_PACKAGES))
    try:
        for number in range(1, count + 1):
            try:
                played = bytecode.run_with_schedule(
                    _schedule(scene, number),
                    lambda number=number: _begin(scene, number),
                    _workers(scene),
                    timeout=_LONGEST_RUN,
                    **_settings(scene),
                )
                played.judge()
            except Exception as error:  # of a thread, of the judge, or of the scheduler, if all are stuck
                return number, f"{type(error).__name__}: {error}"
    finally:
        tracing.set_active_trace_filter(None)
    return count, ""


def _schedule(scene: type[Scene], number: int) -> list[int]:
    """Return whose turn each step is: bursts of a length between one step and as many as there may be."""
    chance = random.Random(f"{scene.__name__} {number}")
    schedule: list[int] = []
    while len(schedule) < _STEPS:
        thread = chance.randrange(len(scene.threads))
        schedule += [thread] * int(_LONGEST_BURST ** chance.random())
    return schedule


def _begin(scene: type[Scene], number: int) -> Scene:
    if number % _COLLECTED_EACH == 0:
        gc.collect()
    return scene()


def _settings(scene: type[Scene]) -> dict[str, object]:
    return {"clock": scene.clock, "detect_io": False, "deadlock_timeout": _LONGEST_RUN}


def _workers(scene: type[Scene]) -> list[Callable[[Scene], None]]:
    return [_worker(name, number) for number, name in enumerate(scene.threads)]


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector out of the threads of a scene.

    What it calls when it finds something would be a step of whatever thread it happens to run in.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def _worker(name: str, number: int) -> Callable[[Scene], None]:
    def work(scene: Scene) -> None:
        getattr(scene, name)(number)

    return work
