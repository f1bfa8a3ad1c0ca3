"""What has to be done now and then, on one thread of the process."""

import random
import threading
from collections.abc import Iterable
from typing import Protocol

from greencache.clock import Clock
from greencache.events import Event, EventKind, NullRecorder, Recorder
from greencache.forks import after_fork_in_child
from greencache.patching import is_patched, refuse_late_patch
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
        self._is_closed = False
        self._reset()
        after_fork_in_child(self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._was_patched = False
        now = self._clock.now()
        self._due = [now] * len(self._chores)
        self._pauses = [_FIRST_PAUSE] * len(self._chores)
        self._problems = [""] * len(self._chores)

    def start(self) -> None:
        """Begin, unless that has begun; costs next to nothing when the thread runs."""
        if not self._chores:
            return
        thread = self._thread
        if thread is not None:
            refuse_late_patch(was_patched=self._was_patched)
            if thread.is_alive():
                return
        with self._lock:
            if self._thread is thread and not self._is_closed:
                self._was_patched = is_patched()
                # Where a signal's handler raises in `is_alive`, a thread that runs counts as ended.
                self._stop.set()
                self._stop = threading.Event()
                self._thread = threading.Thread(
                    target=self._run, args=(self._stop,), name="greencache-upkeep", daemon=True
                )
                self._thread.start()

    def close(self) -> None:
        """Begin nothing any more; waits a little for what is under way. May be called twice."""
        with self._lock:
            self._is_closed = True
            thread = self._thread
        self._stop.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_LONGEST_FAREWELL)

    def attempt_due(self) -> Seconds:
        """Ask the chores whose time has come, and return the seconds until that of the next."""
        for number, chore in enumerate(self._chores):
            if self._stop.is_set():
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
        if is_news and not self._stop.is_set():
            self._recorder.record(
                Event(EventKind.BACKGROUND_FAILED, detail={"error": f"{chore.name}: {problem}"})
            )

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            stop.wait(min(self.attempt_due(), _LONGEST_PAUSE))
