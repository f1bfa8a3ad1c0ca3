"""Replays queued drops although nobody uses the tier that they are queued for."""

import threading
from collections.abc import Callable

from greencache.forks import after_fork_in_child
from greencache.typing import Seconds

__all__ = ["Replayer"]


class Replayer:
    """Calls a replay again and again, on a thread of its own, until nothing is left.

    Args:
        replay: Replays what it can, and returns whether nothing is left.
        pause: Seconds between two calls.
    """

    def __init__(self, replay: Callable[[], bool], pause: Seconds = 1.0) -> None:
        self._replay = replay
        self._pause = pause
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        self._lock = threading.Lock()
        self._alarm = threading.Event()
        self._is_closed = False
        self._is_running = False

    def wake(self, *, at_once: bool = False) -> None:
        """Begin, unless it has begun: there is something to replay.

        Args:
            at_once: Whether the tier is there, so that the first call need not wait for it.
        """
        if at_once:
            self._alarm.set()
        with self._lock:
            if self._is_running or self._is_closed:
                return
            self._is_running = True
        try:
            threading.Thread(target=self._run, name="greencache-replay", daemon=True).start()
        except (RuntimeError, MemoryError):
            # No thread to be had now, or no memory for one; the next use of the tier replays too.
            self._is_running = False

    def close(self) -> None:
        """Stop."""
        self._is_closed = True
        self._alarm.set()

    def _run(self) -> None:
        try:
            while True:
                self._alarm.wait(self._pause)
                self._alarm.clear()
                if self._is_closed or self._replay():
                    break
        finally:
            self._is_running = False
        # What was queued between the last look and the line above has found this still running.
        if not self._is_closed and not self._replay():
            self.wake()
