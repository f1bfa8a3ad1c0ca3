"""Who waits for a load of another process, and is woken when it has ended."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator

from greencache.forks import after_fork_in_child
from greencache.typing import Key, Seconds

__all__ = ["Waiters", "Wake"]


class Wake:
    """Ends a pause from another thread; may be called before the pause begins, and more than once."""

    __slots__ = ("_event", "_named", "is_for_all", "on_call")

    def __init__(self) -> None:
        self._event = threading.Event()
        self._named: set[Key] = set()
        self.is_for_all = False
        """Whether it was called for no key in particular."""
        self.on_call: Callable[[], object] | None = None
        """Is called too, on the caller's thread: how an event loop learns of it."""

    def __call__(self, keys: Iterable[Key] | None = None) -> None:
        """End the pause, or the next one.

        Args:
            keys: What may have landed; `None` if that is not known.
        """
        if keys is None:
            self.is_for_all = True
        else:
            self._named.update(keys)
        self._event.set()
        if self.on_call is not None:
            self.on_call()

    def wait(self, timeout: Seconds) -> None:
        """Wait until it is called, or was called since the last wait."""
        self._event.wait(timeout)
        self._event.clear()

    def take(self) -> set[Key] | None:
        """Return the keys that it was called for since the last time; `None` if they are not known."""
        is_for_all, self.is_for_all = self.is_for_all, False
        # Copied in one atomic step: what is added meanwhile ends the next pause.
        named = self._named.copy()
        self._named -= named
        return None if is_for_all else named

    @property
    def is_called(self) -> bool:
        """Whether it was called since the last wait."""
        return self._event.is_set()

    def reset(self) -> None:
        """Begin anew, as `wait` does when it ends."""
        self._event.clear()


class Waiters:
    """The wakes of those who wait in this process, by key."""

    def __init__(self) -> None:
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        self._lock = threading.Lock()
        self._wakes: dict[Key, list[Wake]] = {}

    @contextlib.contextmanager
    def waiting(self, keys: Iterable[Key]) -> Iterator[Wake]:
        """Give a wake that is called when one of the keys may have landed, while the body runs."""
        wake, names = Wake(), list(keys)
        try:
            with self._lock:
                for key in names:
                    self._wakes.setdefault(key, []).append(wake)
            yield wake
        finally:
            with self._lock:
                for key in names:
                    self._leave(key, wake)

    def _leave(self, key: Key, wake: Wake) -> None:
        wakes = [other for other in self._wakes.get(key, ()) if other is not wake]
        if wakes:
            self._wakes[key] = wakes
        else:
            self._wakes.pop(key, None)

    def wake(self, keys: Iterable[Key]) -> None:
        """Wake who waits for one of these keys."""
        if not self._wakes:
            return
        woken: dict[Wake, list[Key]] = {}
        with self._lock:
            for key in keys:
                for wake in self._wakes.get(key, ()):
                    woken.setdefault(wake, []).append(key)
        for wake, landed in woken.items():
            wake(landed)

    def wake_all(self) -> None:
        """Wake everybody."""
        with self._lock:
            woken = [wake for wakes in self._wakes.values() for wake in wakes]
        for wake in woken:
            wake()
