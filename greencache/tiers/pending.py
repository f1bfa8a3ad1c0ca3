"""What a tier that is down must be told before it is read again."""

import itertools
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from greencache.forks import after_fork_in_child
from greencache.keys import ANY_TAG, Pattern
from greencache.typing import Key

__all__ = ["Pending", "PendingDrops"]

_Name = tuple[str, str]


class Pending:
    """Drops that wait for a tier: keys, patterns and stamps, each once, in order.

    Args:
        keys: Keys to drop.
        patterns: Patterns to drop.
        stamps: Stamps to replace, by tag.
    """

    __slots__ = ("queued",)

    def __init__(
        self,
        keys: Iterable[Key] = (),
        patterns: Iterable[Pattern] = (),
        stamps: Mapping[str, str] | None = None,
    ) -> None:
        self.queued: dict[_Name, tuple[int, Any]] = {("key", key): (0, key) for key in keys}
        self.queued.update({("pattern", pattern.text): (0, pattern) for pattern in patterns})
        self.queued.update({("stamp", tag): (0, (tag, token)) for tag, token in (stamps or {}).items()})

    def _of_kind(self, kind: str) -> list[Any]:
        return [payload for (each, _), (_, payload) in self.queued.items() if each == kind]

    @property
    def keys(self) -> list[Key]:
        """The keys to drop."""
        return self._of_kind("key")

    @property
    def patterns(self) -> list[Pattern]:
        """The patterns to drop."""
        return self._of_kind("pattern")

    @property
    def stamps(self) -> dict[str, str]:
        """The stamps to replace, by tag; that of any tag first, as whoever reads stamps relies on."""
        return dict(sorted(self._of_kind("stamp"), key=lambda pair: pair[0] != ANY_TAG))

    def describe(self) -> tuple[str, ...]:
        """Return what waits as text, for an error message."""
        return _described(self.queued)


class PendingDrops:
    """A queue of drops that never forgets one silently.

    Args:
        capacity: How many are kept one by one.
        collapse: Returns the few drops that cover any others, for when more come.
    """

    def __init__(self, capacity: int, collapse: Callable[[], Pending]) -> None:
        self._capacity = capacity
        self._collapse = collapse
        self._queued: dict[_Name, tuple[int, Any]] = {}
        self._numbers = itertools.count(1)
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        # What was queued stays queued in the child too: replaying a drop twice is harmless.
        self._lock = threading.Lock()
        self._is_replaying = False

    def __bool__(self) -> bool:
        return bool(self._queued)

    def add(self, more: Pending) -> None:
        """Queue drops; one that is queued already is queued anew, since it may be under replay."""
        is_full = len(self._queued) + len(more.queued) > self._capacity and (
            len(self._queued.keys() | more.queued.keys()) > self._capacity
        )
        covering = self._collapse() if is_full else None
        with self._lock:
            if covering is not None:
                stamps = {name: each for name, each in self._queued.items() if name[0] == "stamp"}
                self._queued = stamps
                more = covering
            number = next(self._numbers)
            self._queued.update({name: (number, payload) for name, (_, payload) in more.queued.items()})

    def begin(self) -> Pending | None:
        """Return what is queued, to the one caller at a time that replays it; `None` to all others."""
        with self._lock:
            if self._is_replaying:
                return None
            self._is_replaying = True
            pending = Pending()
            pending.queued = dict(self._queued)
            return pending

    def end(self, replayed: Pending | None) -> None:
        """Take what was replayed off the queue, except what was queued anew meanwhile.

        Args:
            replayed: What `begin` returned, if it has reached the tier; otherwise `None`.
        """
        with self._lock:
            self._is_replaying = False
            for name, (number, _) in (replayed.queued if replayed else {}).items():
                if self._queued.get(name, (0, None))[0] == number:
                    del self._queued[name]

    def describe(self) -> tuple[str, ...]:
        """Return what is queued as text, for an error message."""
        with self._lock:
            return _described(self._queued)


def _described(names: Iterable[_Name]) -> tuple[str, ...]:
    # The tag without a name is the namespace; that of any tag is replaced along with others only.
    return tuple(f"{kind}:{name}" if name else "everything" for kind, name in names if name != ANY_TAG)
