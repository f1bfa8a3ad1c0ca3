"""What this process has lately learned of at a primary, and must not find older at a replica."""

import threading
from collections.abc import Iterable
from typing import Final

from greencache.clock import Clock
from greencache.forks import after_fork_in_child
from greencache.typing import Seconds

__all__ = ["Touched"]

_MOST: Final = 10_000


class Touched:
    """Remembers of names when they were last read or written, here, or written elsewhere as was heard.

    Args:
        clock: Tells the time.
        capacity: How many names are told apart; with more, all count as touched.
    """

    def __init__(self, clock: Clock, capacity: int = _MOST) -> None:
        self._clock = clock
        self._capacity = capacity
        self._names: dict[bytes, Seconds] = {}
        # What was announced before this process listened, it has not heard.
        self._all = clock.now()
        self._forget()
        after_fork_in_child(self._forget)

    def _forget(self) -> None:
        self._lock = threading.Lock()

    def note(self, names: Iterable[bytes]) -> None:
        """Note names, when it is done and before anybody is told so."""
        with self._lock:
            # Read under the lock: a later time is never replaced by an earlier one, nor lost.
            now = self._clock.now()
            self._names.update(dict.fromkeys(names, now))
            if len(self._names) > self._capacity:
                self._all = now
                self._names.clear()

    def note_all(self) -> None:
        """Note every name there can be."""
        with self._lock:
            self._all = self._clock.now()
            self._names.clear()

    def last(self, name: bytes) -> Seconds:
        """Return when a name was touched last, or might have been."""
        # In this order: who forgets the names has noted all of them before.
        touched = self._names.get(name, self._all)
        return max(touched, self._all)
