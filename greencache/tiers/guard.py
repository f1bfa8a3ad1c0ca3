"""The one place where an outage of a tier becomes an absence and an event."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from greencache.backends.retry import RateLimitedError
from greencache.clock import Clock
from greencache.errors import ServerReplyError, TierUnavailableError
from greencache.events import Event, EventKind, Recorder
from greencache.stats import TierCounters
from greencache.tiers.backlog import Backlog
from greencache.tiers.base import Identified, Installable, Remembering, Status, Tier, TierHealth, TierUsage
from greencache.tiers.pace import Pace, Paced, SlowLooks
from greencache.tiers.partial import PartialOutageError, Sharded
from greencache.tiers.pending import Pending
from greencache.tiers.recent import Lineage
from greencache.typing import CacheTier, Key, Seconds

__all__ = ["Guard"]

T = TypeVar("T")

_KINDS = {
    Status.UP: EventKind.TIER_UP,
    Status.DEGRADED: EventKind.TIER_DEGRADED,
    Status.DOWN: EventKind.TIER_DOWN,
}
_MOST_SUCCESSORS = 3
"""How many servers are asked one after the other before a tier counts as out of reach."""


class Guard:
    """Makes calls to a tier, each after all that the tier has missed; during an outage the answer is `None`.

    Args:
        tier: The tier itself.
        clock: Where the time comes from.
        recorder: Is told when the tier goes and comes.
        collapse: Returns the drops that cover any others in this tier, for when too many wait.
        on_replayed: Is called with what was replayed, to do it in nearer tiers and to announce it.
        failover_window: Seconds for which drops are remembered, to be replayed to another server.
        capacity: How many drops may wait one by one.
        lineage: Tells whether another server has what was told to its predecessor before that.
    """

    def __init__(
        self,
        tier: Tier,
        *,
        clock: Clock,
        recorder: Recorder,
        collapse: Callable[[], Pending],
        on_replayed: Callable[[Pending], None],
        failover_window: Seconds,
        capacity: int,
        lineage: Lineage | None = None,
    ) -> None:
        self.tier = tier
        self.name: CacheTier = tier.name
        self.counters: TierCounters = tier.counters
        self.status = Status.UP
        """How it is: by what became of the last call, or of the last one to each of its parts."""
        self._recorder = recorder
        slow = tier.slow_looks if isinstance(tier, Paced) else None
        self.pace = Pace(slow or SlowLooks(threshold=None), clock, self._on_pace)
        """How quick looks at it are."""
        self._backlog = Backlog(
            tier,
            self._guard,
            clock=clock,
            recorder=recorder,
            collapse=collapse,
            on_replayed=on_replayed,
            window=failover_window,
            capacity=capacity,
            lineage=lineage,
        )
        self._pending = self._backlog.pending
        self._parts = tier if isinstance(tier, Sharded) and tier.is_sharded else None
        self._is_refusing = False

    def unreached(self, keys: Iterable[Key]) -> Iterable[Key]:
        """Return those of some keys of which the tier can tell nothing now: none, all, or those of a part."""
        if self.status is Status.UP:
            return ()
        parts = self._parts if self.status is Status.DEGRADED else None
        return keys if parts is None else parts.unreached(keys)

    def on_successor(self, told: Callable[[], None]) -> None:
        """Let somebody know when another server answers, before it is used; `told` may not use it."""
        self._backlog.told.append(told)

    @property
    def waiting(self) -> tuple[str, ...]:
        """The drops that wait for the tier, as text."""
        return self._backlog.waiting

    def queue(self, pending: Pending) -> tuple[str, ...]:
        """Let drops be made, and announced, before the tier is read again; return all that wait."""
        self._backlog.queue(pending)
        return self.waiting

    def replay(self) -> bool:
        """Tell the tier what it has missed, and return whether it may be used."""
        return self._backlog.replay()

    def install(self) -> bool:
        """Make what the tier needs on its server, and return whether it has what it needs.

        Raises:
            ConfigurationError: If the server refuses what was described.
        """
        tier = self.tier

        def install() -> bool:
            if isinstance(tier, Installable):
                tier.install()
            return True

        return self._guard(install) is True

    def identity(self) -> str:
        """Return what no other server is called; empty if that cannot be told."""
        return self.tier.identity() if isinstance(self.tier, Identified) else ""

    def check(self) -> TierHealth:
        """Ask the tier how it is doing."""
        return self.tier.check()

    def usage(self) -> TierUsage | None:
        """Return what the tier holds, or `None` during an outage."""
        return self._guard(self.tier.usage)

    def recall(self) -> bytes | None:
        """Return the position on the bus that the tier remembers; `None` during an outage too."""
        tier = self.tier
        return self._ready(tier.recall) if isinstance(tier, Remembering) else None

    def remember(self, position: bytes) -> None:
        """Remember a position on the bus, unless drops that came before it still wait for the tier."""
        tier = self.tier
        if isinstance(tier, Remembering):
            # Only over what a server has that was told everything: on one that has just restarted from an old
            # snapshot, what it remembers is the only sign of how old that is.
            known = self._ready(lambda: (tier.recall(),))
            if known is not None:
                self._once(lambda: tier.remember(position, known[0]))

    def close(self) -> None:
        """Give back what the tier holds on to, after a last attempt to tell it what it has missed."""
        self._backlog.close()
        self.tier.close()

    def _tell(self, call: Callable[[], T], pending: Pending, *, otherwise: T) -> T | None:
        """Write to the tier and return its answer; if it is away, queue the drop and return `None`.

        Args:
            call: Writes.
            pending: Drops that do instead of it.
            otherwise: The answer if these were made after all.
        """
        backlog = self._backlog
        changes = backlog.changes
        backlog.note(pending)
        missed = pending

        def tell() -> T:
            nonlocal missed
            try:
                return call()
            except PartialOutageError as outage:
                missed = pending.only(outage.keys)
                raise

        answer = self._once(tell, apart=tell, may_overtake=True)
        if answer is not None and backlog.changes == changes:
            return answer
        # A reader that asks between the failure and this line still gets nothing: the tier is down,
        # or it came back this instant, and then the drop is replayed before the next read of ours.
        backlog.queue(missed if backlog.changes == changes else pending)
        # If it was answered, then perhaps by the former server.
        return otherwise if answer is not None and self.replay() else None

    def _once(
        self, call: Callable[[], T], apart: Callable[[], T] | None = None, *, may_overtake: bool = False
    ) -> T | None:
        """Return an answer of a server that was told what waited for it.

        Args:
            call: Asks.
            apart: Asks about what no drop waits for, where only a node of several is away, or the server is
                well and takes no writes. Writes may overtake drops that wait: these are made all the same,
                and forget at worst what was put since.
            may_overtake: Whether that is so, and the same as the call. Else writers who find others at the
                replay would queue again what these have just told the server, and so on without end.
        """
        if self._pending and not self.replay():
            is_away = self._backlog.is_away if may_overtake else True
            is_answered = self._parts is not None or self._is_refusing or not is_away
            return self._guard(apart) if apart is not None and is_answered else None
        return self._guard(call)

    def _ready(self, call: Callable[[], T], apart: Callable[[], T] | None = None) -> T | None:
        """Do the same, with a server that was told everything before it was asked, whichever it is."""
        for _ in range(_MOST_SUCCESSORS):
            changes = self._backlog.changes
            answer = self._once(call, apart)
            if self._backlog.changes == changes:
                return answer
        return None

    def _guard(self, call: Callable[[], T]) -> T | None:
        try:
            answer = call()
        except (TierUnavailableError, ServerReplyError) as error:
            self.counters.errors += 1
            self.counters.limited += isinstance(error, RateLimitedError)
            is_outage = getattr(error, "is_outage", False)
            self._is_refusing = not is_outage
            if self._parts is not None:
                self._note(self._parts.condition(), error)
            elif is_outage:
                self._note(Status.DOWN, error)
            return None
        if self.status is not Status.UP:
            # What one part of a tier answers says nothing of the others.
            self._note(Status.UP if self._parts is None else self._parts.condition())
        return answer

    def _note_look(self, took: Seconds | None, keys: int) -> None:
        """Note how long a look took; `None` for one that was not answered, or not made."""
        if took is not None and self.status is Status.UP:
            self.pace.note(took, keys)
        else:
            self.pace.note_failure()

    def _on_pace(self, is_quick: bool, reason: str) -> None:
        kind = EventKind.TIER_QUICK if is_quick else EventKind.TIER_SLOW
        self._recorder.record(Event(kind, self.name, detail={"reason": reason}))

    def _note(self, status: Status, reason: Exception | None = None) -> None:
        if status is not self.status:
            self.status = status
            detail = {} if reason is None else {"reason": str(reason)}
            self._recorder.record(Event(_KINDS[status], self.name, detail=detail))
