"""How many loaders run at once in a process, so that a cold cache does not drown the source."""

import contextlib
import threading
from collections.abc import Iterator

from greencache.errors import LoadTimeoutError
from greencache.forks import after_fork_in_child
from greencache.typing import Seconds

__all__ = ["LoadGate"]


class LoadGate:
    """Lets a number of loads through and queues the others.

    A load that begins within another one passes: it belongs to one that was let through, and if it
    waited, loads within loads could hold all places and wait for each other.

    Args:
        limit: How many loads may run at once; `None` for any number.
        patience: Seconds to wait for a place.
    """

    def __init__(self, limit: int | None, patience: Seconds) -> None:
        self._limit = limit
        self._patience = patience
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        # The parent's loads do not run in the child.
        self._places = None if self._limit is None else threading.BoundedSemaphore(self._limit)
        self._inside = threading.local()

    @contextlib.contextmanager
    def passed(self) -> Iterator[None]:
        """Hold a place while the body runs.

        Raises:
            LoadTimeoutError: If no place became free in time.
        """
        places = self._places
        if places is None or getattr(self._inside, "holds", False):
            yield
            return
        if not places.acquire(timeout=self._patience):
            raise LoadTimeoutError(
                f"expected one of {self._limit} places for loading within {self._patience:g} s, all were"
                f" taken; loads are slow, or max_concurrent_loads is low"
            )
        self._inside.holds = True
        try:
            yield
        finally:
            self._inside.holds = False
            places.release()
