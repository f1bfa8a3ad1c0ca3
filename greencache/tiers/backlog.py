"""What a tier must be told before it may be read."""

import functools
import secrets
from collections.abc import Callable
from typing import Any, TypeVar

from greencache.clock import Clock
from greencache.events import Event, EventKind, Recorder
from greencache.tiers.base import StampStore, Tier
from greencache.tiers.partial import PartialOutageError
from greencache.tiers.pending import Pending, PendingDrops
from greencache.tiers.recent import Lineage, RecentDrops, Replicated
from greencache.tiers.replayer import Replayer
from greencache.typing import Seconds

__all__ = ["Backlog"]

T = TypeVar("T")
Attempt = Callable[[Callable[[], bool]], bool | None]

_MOST_ROUNDS = 3
"""How often a caller replays what was queued meanwhile: for ever, where each call notices another server."""


class Backlog:
    """The drops that a tier has missed, or that another server behind its address may have missed.

    Redis replicates asynchronously. A replica that takes the place of its primary may lack the last drops,
    and so has again what they had removed. So what was dropped within the window is dropped once more before
    anything is read from another server. Leases that were voided lately may be good again there, too, and
    one who has been loading since may fill with one of them. Such a fill, of this process or another,
    lasts until the replay removes it; and none comes after that, since it voids the leases as well. Who was
    to replay and has died cannot: then only the life of the lease and the entry's own ttl bound it.

    Args:
        tier: The tier itself.
        attempt: Makes a call to the tier, and returns `None` if it could not be made.
        clock: Where the time comes from.
        recorder: Is told of what was replayed, and of another server.
        collapse: Returns the drops that cover any others in this tier, for when there are too many.
        on_replayed: Is called with what was replayed, to do it in nearer tiers and to announce it.
        window: Seconds for which drops are remembered; 0 to ignore failovers.
        capacity: How many drops are kept one by one, of those that wait and of those remembered.
        lineage: Tells whether another server has what was told to its predecessor before that.
    """

    def __init__(
        self,
        tier: Tier,
        attempt: Attempt,
        *,
        clock: Clock,
        recorder: Recorder,
        collapse: Callable[[], Pending],
        on_replayed: Callable[[Pending], None],
        window: Seconds,
        capacity: int,
        lineage: Lineage | None,
    ) -> None:
        self._tier = tier
        self._attempt = attempt
        self._recorder = recorder
        self._on_replayed = on_replayed
        self.pending = PendingDrops(capacity, collapse)
        self._replayer = Replayer(self.replay)
        self._recent = RecentDrops(window, clock=clock, capacity=capacity, collapse=collapse)
        self._successor = ""
        self.told: list[Callable[[], None]] = []
        """Who is called when another server answers."""
        self.is_away = False
        """Whether the last replay did not reach the tier."""
        self._collapse = collapse
        self._lineage = lineage
        # What needs no watch never changes.
        self._watch = tier.watch if isinstance(tier, Replicated) and window > 0 else None
        if self._watch is not None:
            self._watch.subscribe(self._on_successor, self._on_unknown)

    @property
    def changes(self) -> int:
        """Differs from what it was when another server was noticed meanwhile."""
        watch = self._watch
        return 0 if watch is None else watch.changes

    @property
    def waiting(self) -> tuple[str, ...]:
        """The drops that wait for the tier, as text: the first hundred, and how many more."""
        return self.pending.describe()

    def note(self, pending: Pending) -> None:
        """Remember what the tier will be told next.

        Before it is told: a drop that another server is noticed during is among those replayed then.
        """
        if self._watch is not None:
            self._recent.add(pending)

    def queue(self, pending: Pending) -> None:
        """Let drops be made, and announced, before the tier is read again."""
        self.pending.add(pending)
        self._replayer.wake()

    def replay(self) -> bool:
        """Tell the tier what it has missed, and return whether it may be used."""
        for _ in range(_MOST_ROUNDS):
            if not self.pending:
                return True
            if not self._replay_once():
                return False
        return not self.pending

    def _replay_once(self) -> bool:
        """Tell the tier what is queued now, and return whether it was told all of it."""
        pending, is_whole = Pending(), None
        try:
            # If false, another thread replays; until it is done the tier may hold what was dropped.
            if self.pending.begin(pending):
                is_whole = self._attempt(functools.partial(self._tell, pending))
                self.is_away = is_whole is None
        finally:
            self.pending.end(pending, is_told=is_whole is not None)
        return is_whole is True

    def close(self) -> None:
        """Try once more, and say what is lost."""
        self._replayer.close()
        if not self.replay():
            detail = {"lost": self.waiting[:10], "count": len(self.pending)}
            self._recorder.record(Event(EventKind.INVALIDATION_LOST, self._tier.name, detail=detail))

    def _tell(self, pending: Pending) -> bool:
        tier = self._tier
        if not self._has_all_up_to(pending.marks):
            # What is remembered one by one is not all that is missing: everything is to be forgotten.
            pending.queued.update(self._collapse().queued)
        # The server that is told this may be succeeded as well.
        self.note(pending)
        if pending.stamps and isinstance(tier, StampStore):
            # New ones, not those that this process has used meanwhile: others may have replaced them since,
            # and what was stored under them must not become current again.
            tier.replace_stamps({tag: secrets.token_hex(8) for tag in pending.stamps})
        is_whole = True
        if pending.keys:
            try:
                tier.drop_many(pending.keys)
            except PartialOutageError as outage:
                is_whole = False
                for key in outage.keys:
                    del pending.queued["key", key]  # it waits on
        for pattern in pending.patterns:
            tier.drop_matching(pattern)
        # Announced before it is taken off the queue: an announcement that fails is tried again too.
        self._on_replayed(pending)
        detail = {"count": len(pending.drops)}
        self._recorder.record(Event(EventKind.INVALIDATION_REPLAYED, tier.name, detail=detail))
        return is_whole

    def _has_all_up_to(self, marks: tuple[Any, ...]) -> bool:
        lineage = self._lineage
        return lineage is None or all(map(lineage.goes_on_from, marks))

    def _on_successor(self, server: str) -> None:
        # On the thread that has noticed it, which may be the bus's or hold a connection: only queued here.
        for tell in self.told:
            tell()
        recent = self._recent.recent()
        mark = self._lineage.mark() if self._lineage is not None else None
        if mark is not None:
            self.pending.add(Pending.proof(mark))
        if recent.queued:
            self.pending.add(recent)
        if self.pending:
            self._replayer.wake(at_once=True)
        # Threads that notice it at the same time all come here: to queue twice does no harm.
        if self._successor != server:
            self._successor = server
            detail = {"server": server, "drops": len(recent.queued)}
            self._recorder.record(Event(EventKind.SERVER_CHANGED, self._tier.name, detail=detail))

    def _on_unknown(self, reason: str) -> None:
        detail = {"reason": f"a failover is not noticed, and what it undoes is not replayed: {reason}"}
        self._recorder.record(Event(EventKind.FEATURE_MISSING, self._tier.name, detail=detail))
