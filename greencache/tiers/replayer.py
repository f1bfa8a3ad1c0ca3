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
        self._stop = threading.Event()
        self._is_running = False

    def wake(self) -> None:
        """Begin, unless it has begun: there is something to replay."""
        with self._lock:
            if self._is_running or self._stop.is_set():
                return
            self._is_running = True
        try:
            threading.Thread(target=self._run, name="greencache-replay", daemon=True).start()
        except RuntimeError:
            # No thread to be had now; the next use of the tier replays too.
            self._is_running = False

    def close(self) -> None:
        """Stop."""
        self._stop.set()

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._pause):
                if self._replay():
                    break
        finally:
            self._is_running = False
        # What was queued between the last look and the line above has found this still running.
        if not self._stop.is_set() and not self._replay():
            self.wake()
