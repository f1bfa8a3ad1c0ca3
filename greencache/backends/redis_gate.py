"""Questions about where servers are: one at a time, and at most one round of them per second."""

import random
import threading

from greencache.clock import Clock
from greencache.forks import after_fork_in_child
from greencache.typing import Seconds

__all__ = ["INTERVAL", "PATIENCE", "QuestionGate"]

INTERVAL: Seconds = 1.0
"""Between two rounds of one client; a round takes no longer, so there is one at a time."""
PATIENCE: Seconds = 0.3
"""For one server that is asked, from connecting to its answer."""


class QuestionGate:
    """Lets one thread through, and the next one a second later.

    Args:
        clock: Tells the time.
    """

    def __init__(self, clock: Clock) -> None:
        self.rounds = 0
        """How many have been let through."""
        self._clock = clock
        self._forget()
        after_fork_in_child(self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._is_over.set()
        self._due: Seconds = -1.0

    def enter(self) -> bool:
        """Return whether the caller is to ask now; it calls `leave` when it has done so."""
        now = self._clock.now()
        with self._lock:
            if now < self._due:
                return False
            # A little later each time, so that many clients do not ask in step.
            self._due = now + INTERVAL * random.uniform(1.0, 1.1)  # noqa: S311
            self._is_over.clear()
            self.rounds += 1
        return True

    def leave(self) -> None:
        """Let go on who waits for the answer."""
        self._is_over.set()

    def reopen(self) -> None:
        """Let the next one through at once: there is news."""
        self._due = -1.0

    def wait(self, deadline: Seconds) -> None:
        """Wait until the round is over that another thread has begun.

        Args:
            deadline: A reading of the clock at which to give up.
        """
        self._is_over.wait(max(0.0, min(deadline - self._clock.now(), INTERVAL)))
