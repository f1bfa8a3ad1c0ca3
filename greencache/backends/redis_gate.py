"""Questions about where servers are: one at a time, and at most one round of them per second."""

import random
import threading
from collections.abc import Callable

from greencache.clock import Clock
from greencache.forks import after_fork_in_child
from greencache.typing import Seconds

__all__ = ["PATIENCE", "QuestionGate"]

_INTERVAL: Seconds = 1.0
"""Between two rounds of one client; a round takes no longer, unless nobody answers."""
PATIENCE: Seconds = 0.3
"""For one server that is asked, from connecting to its answer; more once nobody has answered in time."""
_MOST_PATIENCE: Seconds = 2.4


class QuestionGate:
    """Lets one thread through, and the next one a second later.

    Args:
        clock: Tells the time.
    """

    def __init__(self, clock: Clock) -> None:
        self.rounds = 0
        """How many have been let through."""
        self.patience = PATIENCE
        """Seconds for one server that is asked."""
        self._clock = clock
        self._forget()
        after_fork_in_child(self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._is_over.set()
        self._due: Seconds = -1.0

    def ask(self, ask: Callable[[], bool]) -> bool:
        """Ask, if this is the time for it, and return whether it was.

        Args:
            ask: Does it, and returns whether anybody has answered. A round that it does not end, since its
                greenlet was killed or a signal handler raised, does not count: the next one is let through
                at once.
        """
        if not self._enter():
            return False
        is_complete = False
        try:
            # TLS between busy machines takes its time: if each handshake is cut short, none succeeds.
            self.patience = PATIENCE if ask() else min(2 * self.patience, _MOST_PATIENCE)
            is_complete = True
        finally:
            if not is_complete:
                self.reopen()
            self._is_over.set()
        return True

    def ask_or_wait(
        self, ask: Callable[[], bool], deadline: Seconds, *, is_known: Callable[[], bool]
    ) -> None:
        """Ask, if this is the time for it; else wait for who does, as long as nothing is known yet.

        Args:
            ask: As of `ask`.
            deadline: A reading of the clock at which to give up.
            is_known: Whether anybody has been told an answer.
        """
        while not self.ask(ask) and not is_known():
            self._is_over.wait(max(0.0, min(deadline - self._clock.now(), _INTERVAL)))
            now = self._clock.now()
            # Asked to the end, and in vain; or else whoever asked was cut short, and it is our turn.
            if now >= deadline or (self._is_over.is_set() and now < self._due):
                return

    def end_of_round(self, deadline: Seconds) -> Seconds:
        """Return the reading of the clock at which a round ends, at its deadline or earlier."""
        return min(deadline, self._clock.now() + _INTERVAL * self.patience / PATIENCE)

    def reopen(self) -> None:
        """Let the next one through at once: there is news."""
        self._due = -1.0

    def _enter(self) -> bool:
        now = self._clock.now()
        with self._lock:
            if now < self._due:
                return False
            # A little later each time, so that many clients do not ask in step.
            self._due = now + _INTERVAL * random.uniform(1.0, 1.1)  # noqa: S311
            self._is_over.clear()
            self.rounds += 1
        return True
