"""Where in the log a listener is, and was."""

import collections
import threading
from collections.abc import Callable

from greencache.bus.stream import Position
from greencache.clock import Clock
from greencache.typing import Seconds

__all__ = ["Place"]

_BETWEEN_MARKS: Seconds = 1.0
_MARKS = 600
"""How many are kept."""


class Place:
    """Where a listener is in the log; others wait until it has got somewhere.

    Moved by one thread only.

    Args:
        clock: Where the time comes from.
    """

    def __init__(self, clock: Clock) -> None:
        self._now = clock.now
        self._moved = threading.Condition()
        self._passed: collections.deque[tuple[Seconds, Position]] = collections.deque(maxlen=_MARKS)
        self.position: Position | None = None
        """All up to there is applied; `None` while nothing can be proved."""
        self.number = 0
        """The number of the last message applied, also when that cannot be proved any more."""

    def move_to(self, position: Position) -> None:
        """Take note that all up to a position is applied."""
        now = self._now()
        with self._moved:
            self.position, self.number = position, position.number
            passed = self._passed
            # The latest is always kept, and of those before it one a second.
            if len(passed) > 1 and now - passed[-2][0] < _BETWEEN_MARKS:
                passed.pop()
            passed.append((now, position))
            self._moved.notify_all()

    def lose(self) -> None:
        """Take note that nobody can tell any more what was missed: what was passed may be another log's."""
        with self._moved:
            self.position = None
            self._passed.clear()

    def at(self, moment: Seconds) -> Position | None:
        """Return the last mark that was passed by a moment; `None` if there was none yet.

        If the moment lies before all that is kept, the first one that is.
        """
        with self._moved:
            passed = list(self._passed)
        before = [position for when, position in passed if when <= moment]
        if before:
            return before[-1]
        return passed[0][1] if len(passed) == _MARKS else None

    def tell(self) -> None:
        """Let those who wait look again."""
        with self._moved:
            self._moved.notify_all()

    def wait_for(self, is_so: Callable[[], bool], timeout: Seconds) -> bool:
        """Wait until something is so that moving or telling may change, and return whether it is."""
        with self._moved:
            return self._moved.wait_for(is_so, timeout)
