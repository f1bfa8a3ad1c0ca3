"""What a tier was told lately, in case that its server is succeeded by one that was not."""

import collections
import threading
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from greencache.clock import Clock
from greencache.forks import after_fork_in_child
from greencache.tiers.pending import Pending, Queued, covered_by
from greencache.typing import Seconds

__all__ = ["Lineage", "RecentDrops", "Replicated"]

_Name = tuple[str, str]


class Watch(Protocol):
    """Notices that another server answers where a tier's own one did."""

    changes: int
    """Differs from what it was when another server was noticed meanwhile."""

    def subscribe(self, on_successor: Callable[[str], None], on_unknown: Callable[[str], None]) -> None:
        """Let somebody know of another server, before anything is read from it.

        Args:
            on_successor: Is told what it is called, on the thread that noticed it.
            on_unknown: Is told why nobody can notice.
        """
        ...


class Lineage(Protocol):
    """Tells whether another server has what its predecessor was told, but for what is remembered."""

    def mark(self) -> Any:
        """Return what a server must have; `None` if nothing is known of it."""
        ...

    def goes_on_from(self, mark: Any) -> bool:
        """Ask the server whether it has that.

        Raises:
            TierUnavailableError: If it does not answer.
        """
        ...


@runtime_checkable
class Replicated(Protocol):
    """A tier whose server may be succeeded by a replica that lacks what was written last."""

    @property
    def watch(self) -> Watch:
        """Notices another server."""
        ...

    def await_replica(self, timeout: Seconds) -> bool:
        """Return whether a replica has all that was written so far, after waiting that long at most."""
        ...


class RecentDrops:
    """Remembers drops for a while, each once, the latest last; bounded.

    Args:
        window: Seconds that a drop is remembered.
        clock: Where the time comes from.
        capacity: How many are kept one by one.
        collapse: Returns the few drops that cover any others, for when more come.
    """

    def __init__(
        self, window: Seconds, *, clock: Clock, capacity: int, collapse: Callable[[], Pending]
    ) -> None:
        self._window = window
        self._clock = clock
        self._capacity = capacity
        self._collapse = collapse
        self._kept: collections.OrderedDict[_Name, tuple[Seconds, Queued]] = collections.OrderedDict()
        self._reset_after_fork()
        after_fork_in_child(self._reset_after_fork)

    def _reset_after_fork(self) -> None:
        # The child remembers what its parent did: to replay a drop twice is harmless.
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, pending: Pending) -> None:
        """Remember drops as of now; the time of those known already is now too."""
        if not self._window:
            return
        now = self._clock.now()
        with self._lock:
            self._forget_before(now - self._window)
            more = sum(name not in self._kept for name in pending.queued)
            is_full = len(self._kept) + more > self._capacity
        # Outside of the lock, since it is not our code.
        covering = self._collapse() if is_full else None
        with self._lock:
            if covering is not None:
                kept = {name: drop for name, (_, drop) in self._kept.items()}
                pending = covered_by(covering, kept, pending.queued)
                self._kept.clear()
            for name, drop in pending.drops.items():
                known = self._kept.get(name)
                self._kept[name] = (now, drop.after(known and known[1]))
                self._kept.move_to_end(name)

    def recent(self) -> Pending:
        """Return the drops within the window."""
        with self._lock:
            self._forget_before(self._clock.now() - self._window)
            return Pending.of({name: drop for name, (_, drop) in self._kept.items()})

    def _forget_before(self, moment: Seconds) -> None:
        kept = self._kept
        while kept and next(iter(kept.values()))[0] < moment:
            kept.popitem(last=False)
