"""What has to be done now and then, on one thread of the process."""

import random
import threading
from collections.abc import Iterable
from typing import Protocol

from greencache.clock import Clock
from greencache.daemon import Daemon
from greencache.events import Event, EventKind, NullRecorder, Recorder
from greencache.forks import after_fork_in_child
from greencache.typing import Seconds

__all__ = ["Chore", "Upkeep"]

_FIRST_PAUSE: Seconds = 0.5
_LONGEST_PAUSE: Seconds = 60.0
_LONGEST_FAREWELL: Seconds = 2.0


class Chore(Protocol):
    """Something that some process of the fleet has to do now and then."""

    @property
    def name(self) -> str:
        """What it is called, for events."""
        ...

    def attempt(self) -> Seconds:
        """Do what is due, unless another process does, and return after how many seconds to ask again."""
        ...


class Upkeep:
    """Asks each chore whether it is due; a thread that begins with the first call of the cache does that.

    Whether something is due, the chores find out where all processes do. So here is no plan that could be
    lost: a chore that fails is asked again, later each time, and in a forked child all are asked anew.

    Args:
        chores: What to do.
        clock: Where the time comes from.
        recorder: Is told of a chore that fails, once until it succeeds.
    """

    def __init__(self, chores: Iterable[Chore], *, clock: Clock, recorder: Recorder | None = None) -> None:
        self._chores = tuple(chores)
        self._clock = clock
        self._recorder = NullRecorder() if recorder is None else recorder
        self._daemon = Daemon("greencache-upkeep")
        self._reset()
        after_fork_in_child(self._reset)

    def _reset(self) -> None:
        now = self._clock.now()
        self._due = [now] * len(self._chores)
        self._pauses = [_FIRST_PAUSE] * len(self._chores)
        self._problems = [""] * len(self._chores)

    def start(self) -> None:
        """Begin, unless that has begun; costs next to nothing when the thread runs."""
        if self._chores:
            self._daemon.start(self._run)

    def close(self) -> None:
        """Begin nothing any more; waits a little for what is under way. May be called twice."""
        self._daemon.close(_LONGEST_FAREWELL)

    def attempt_due(self) -> Seconds:
        """Ask the chores whose time has come, and return the seconds until that of the next."""
        for number, chore in enumerate(self._chores):
            if self._daemon.is_stopping:
                break
            if self._clock.now() >= self._due[number]:
                pause = self._attempt(number, chore)
                self._due[number] = self._clock.now() + pause
        return max(0.0, min(self._due, default=_LONGEST_PAUSE) - self._clock.now())

    def _attempt(self, number: int, chore: Chore) -> Seconds:
        try:
            pause = chore.attempt()
        except Exception as error:
            # Whatever it is, nobody waits for it; it is told of, and tried again.
            self._note(number, chore, repr(error))
            pause = self._pauses[number]
            self._pauses[number] = min(2 * pause, _LONGEST_PAUSE)
            return pause * random.uniform(0.5, 1.0)  # noqa: S311 -- spreads the processes of a fleet
        self._pauses[number], self._problems[number] = _FIRST_PAUSE, ""
        return pause

    def _note(self, number: int, chore: Chore, problem: str) -> None:
        is_news, self._problems[number] = problem != self._problems[number], problem
        if is_news and not self._daemon.is_stopping:
            self._recorder.record(
                Event(EventKind.BACKGROUND_FAILED, detail={"error": f"{chore.name}: {problem}"})
            )

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            stop.wait(min(self.attempt_due(), _LONGEST_PAUSE))
