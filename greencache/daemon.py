"""A thread of the cache's own that lasts until it is told to stop."""

import threading
from collections.abc import Callable
from typing import TypeAlias

from greencache.forks import after_fork_in_child
from greencache.patching import is_patched, refuse_late_patch
from greencache.typing import Seconds

__all__ = ["Daemon", "Run"]

Run: TypeAlias = Callable[[threading.Event], object]
"""What a thread does, until the event is set."""


def _nothing() -> None:
    pass


class Daemon:
    """A thread that begins when it is first needed, and in a forked child anew.

    Not begun right after a fork, since many children never use the cache.

    Args:
        name: What the thread is called.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_closed = False
        self._reset()
        after_fork_in_child(self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._was_patched = False
        self.thread: threading.Thread | None = None
        """The one that runs now; `None` before the first."""

    @property
    def is_stopping(self) -> bool:
        """Whether the thread was told to stop."""
        return self._stop.is_set()

    def start(self, run: Run) -> Exception | None:
        """Begin, unless it runs or was closed; costs next to nothing when it runs.

        Returns:
            Why no thread is to be had now; a later call tries again. `None` if all is well.

        Raises:
            ConfigurationError: If gevent has patched the interpreter since the thread began.
        """
        thread = self.thread
        if thread is not None:
            refuse_late_patch(was_patched=self._was_patched)
            if thread.is_alive():
                return None
        try:
            self._begin(run)
        except (RuntimeError, MemoryError) as error:
            return error
        return None

    def _begin(self, run: Run) -> None:
        with self._lock:
            # Another caller may have begun it meanwhile.
            if not (self._is_closed or (self.thread is not None and self.thread.is_alive())):
                self._was_patched = is_patched()
                # Where a signal's handler raises in `is_alive`, a thread that runs counts as ended.
                self._stop.set()
                self._stop = threading.Event()
                self.thread = threading.Thread(target=run, args=(self._stop,), name=self._name, daemon=True)
                self.thread.start()

    def close(self, longest: Seconds, interrupt: Callable[[], object] = _nothing) -> None:
        """Stop for ever, and wait for what is under way. May be called twice.

        Args:
            longest: Seconds to wait at most.
            interrupt: Ends what the thread waits for.
        """
        with self._lock:
            self._is_closed, thread = True, self.thread
        self._stop.set()
        interrupt()
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            thread.join(longest)
