"""A bounded worker for reloads that nobody waits for."""

import contextlib
import queue
import threading
from collections.abc import Callable
from typing import TypeAlias

from greencache.events import Event, EventKind, NullRecorder, Recorder
from greencache.forks import after_fork_in_child
from greencache.typing import Seconds

__all__ = ["Background"]

Task: TypeAlias = Callable[[], object]


class Background:
    """Runs tasks on a few threads of its own, started when the first task arrives.

    Args:
        workers: How many tasks run at once.
        capacity: How many more may wait; a task beyond that is refused.
        recorder: Is told of tasks that raised.
    """

    def __init__(self, workers: int = 4, capacity: int = 256, recorder: Recorder | None = None) -> None:
        self._workers = workers
        self._capacity = capacity
        self._recorder = recorder or NullRecorder()
        self._forget()
        after_fork_in_child(self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._tasks: queue.Queue[Task | None] = queue.Queue(self._capacity)
        self._threads: list[threading.Thread] = []
        self._closed = False

    def submit(self, task: Task) -> bool:
        """Run a task soon, and return whether there was room for it."""
        with self._lock:
            if self._closed:
                return False
            try:
                self._tasks.put_nowait(task)
            except queue.Full:
                return False
            if len(self._threads) < self._workers:
                thread = threading.Thread(target=self._run, name="greencache-background", daemon=True)
                self._threads.append(thread)
                thread.start()
            return True

    def close(self, timeout: Seconds = 5.0) -> bool:
        """Take no more tasks, finish those that were taken, and return whether that succeeded.

        Args:
            timeout: Seconds to wait for each thread.
        """
        with self._lock:
            self._closed = True
            threads, self._threads = self._threads, []
        for _ in threads:
            # The queue stays full only while every worker hangs; their joins below then say so.
            with contextlib.suppress(queue.Full):
                self._tasks.put(None, timeout=timeout)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(timeout)
        return not any(thread.is_alive() for thread in threads)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except Exception as error:
                # Nobody waits for the task, so nobody else can be told.
                self._recorder.record(Event(EventKind.BACKGROUND_FAILED, detail={"error": repr(error)}))
