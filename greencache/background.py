"""A bounded worker for reloads that nobody waits for."""

import contextlib
import math
import queue
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeAlias

from greencache.events import Event, EventKind, NullRecorder, Recorder
from greencache.forks import after_fork_in_child
from greencache.typing import Seconds

__all__ = ["Background"]

Task: TypeAlias = Callable[[], object]


class Background:
    """Runs tasks on a few threads of its own, started when a task finds none of them idle.

    A task that ends its thread, as `SystemExit` does, costs that thread only: another one takes its place.

    Args:
        workers: How many tasks run at once.
        capacity: How many more may wait; a task beyond that is refused. With 0 no task ever waits for
            another one to end, so a task may wait for one that it has submitted.
        recorder: Is told of tasks that raised or hang.
        scope: Returns a context manager that is entered around each task.
        longest: Seconds after which a task is taken for hung: another thread may then run beside it.
    """

    def __init__(
        self,
        workers: int = 4,
        capacity: int = 256,
        *,
        recorder: Recorder | None = None,
        scope: Callable[[], AbstractContextManager[object]] | None = None,
        longest: Seconds = math.inf,
    ) -> None:
        self._workers = workers
        self._capacity = capacity
        self._recorder = recorder or NullRecorder()
        self.scope = scope or contextlib.nullcontext
        self._longest = longest
        self._forget()
        after_fork_in_child(self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._tasks: queue.Queue[Task | None] = queue.Queue()
        self._unfinished = 0
        self._threads: list[threading.Thread] = []
        self._begun: dict[threading.Thread, Seconds] = {}
        self._hung: set[threading.Thread] = set()
        self._closed = False

    def submit(self, task: Task) -> bool:
        """Run a task soon, and return whether it was taken: there must be room, and a thread to run it."""
        self._watch()
        with self._lock:
            hung = len(self._hung)
            if self._closed or self._unfinished - hung >= self._workers + self._capacity:
                return False
            if self._unfinished >= len(self._threads):
                self._add_thread()
            # Without capacity there must be an idle thread, else one at all.
            if len(self._threads) <= (0 if self._capacity else self._unfinished):
                return False
            # First, since an interrupt between the two may cost a thread, but must not leave one too few.
            self._unfinished += 1
            self._tasks.put(task)
            return True

    def _watch(self) -> None:
        """Count out the threads whose task hangs, up to as many as there are workers."""
        latest = time.monotonic() - self._longest
        hung = [thread for thread, begun in list(self._begun.items()) if begun < latest]
        new = [thread for thread in hung if thread not in self._hung][: self._workers - len(self._hung)]
        if new:
            self._hung.update(new)
            detail = {"error": f"{len(new)} tasks run for more than {self._longest:g} s"}
            self._recorder.record(Event(EventKind.BACKGROUND_FAILED, detail=detail))

    def close(self, timeout: Seconds = 5.0) -> bool:
        """Take no more tasks, finish those that were taken, and return whether that succeeded.

        Args:
            timeout: Seconds to wait for all of them.
        """
        deadline = time.monotonic() + timeout
        with self._lock:
            self._closed = True
            count = len(self._threads)
        for _ in range(count):
            self._tasks.put(None)
        joined: set[threading.Thread] = {threading.current_thread()}
        while True:
            # Looked at again after each join: a thread that a task has ended leaves another in its place, and
            # does so under the lock.
            with self._lock:
                waiting = [thread for thread in self._threads if thread not in joined]
                if not waiting:
                    return not self._threads
            waiting[0].join(max(0.0, deadline - time.monotonic()))
            joined.add(waiting[0])

    def _add_thread(self) -> None:
        """Start one more thread if there may be one and the system allows it; under the lock."""
        if len(self._threads) - len(self._hung) >= self._workers:
            return
        thread = threading.Thread(target=self._run, name="greencache-background", daemon=True)
        # Listed before it starts: if this thread is interrupted while it waits for the start, that one runs.
        self._threads.append(thread)
        try:
            thread.start()
        except (RuntimeError, MemoryError):
            self._threads.remove(thread)

    def _run(self) -> None:
        was_told_to_end = False
        try:
            while (task := self._tasks.get()) is not None:
                if not self._attempt(task):
                    return
            was_told_to_end = True
        finally:
            self._leave(replaced=not was_told_to_end)

    def _attempt(self, task: Task) -> bool:
        """Run a task, and return whether the thread may go on."""
        me = threading.current_thread()
        self._begun[me] = time.monotonic()
        try:
            with self.scope():
                task()
        except BaseException as error:
            # Nobody waits for the task, so nobody else can be told.
            self.note_failed(error)
            return isinstance(error, Exception)
        finally:
            self._begun.pop(me, None)
            self._hung.discard(me)
            with self._lock:
                # In a forked child, the task of the thread that forked is none of the child's.
                self._unfinished -= me in self._threads
        return True

    def note_failed(self, error: BaseException) -> None:
        """Tell that something failed that nobody waits for."""
        self._recorder.record(Event(EventKind.BACKGROUND_FAILED, detail={"error": repr(error)}))

    def _leave(self, *, replaced: bool) -> None:
        with self._lock:
            # In a forked child, the thread that forked is none of the child's.
            with contextlib.suppress(ValueError):
                self._threads.remove(threading.current_thread())
            if replaced and not self._tasks.empty():
                self._add_thread()
