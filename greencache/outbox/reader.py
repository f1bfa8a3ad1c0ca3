"""Reads the outbox to its end, and hands what it says to the cache."""

from collections.abc import Callable, Iterable

from greencache.backends.postgres_outbox import START, Outbox, Page, Position
from greencache.backends.postgres_session import PostgresSession
from greencache.clock import Clock
from greencache.errors import InvalidKeyError
from greencache.keys import Pattern, check_key, check_tag
from greencache.outbox.base import Change, ChangeSink
from greencache.typing import Seconds

__all__ = ["OutboxReader"]


class OutboxReader:
    """Reads on from where it was; rows are deleted once no tier has to be told of them any more.

    So a row that is there is still to be done, whoever was at it before: who takes over from a reader that
    died begins with all of them. To forget a thing twice does no harm.

    Args:
        outbox: What to read.
        sink: The cache.
        clock: Where the time comes from.
    """

    def __init__(self, outbox: Outbox, sink: ChangeSink, clock: Clock) -> None:
        self._outbox = outbox
        self._sink = sink
        self._clock = clock
        self._position = START
        self._owes = False
        self._kept_since: Seconds = 0.0
        self._lag: Seconds = 0.0
        self.number = 0
        """The last row that was read."""
        self.count = 0
        """How many rows were read."""

    def restart(self) -> None:
        """Begin with the oldest row again, unless tiers out of reach keep it: they have them queued."""
        if not self._owes:
            self._position = START

    def read(self, session: PostgresSession) -> None:
        """Read what there is, to its end.

        Raises:
            TierUnavailableError: The database did not answer; what was read is read again.
        """
        if self._owes and self._sink.is_settled:
            # What this process had queued has reached every tier. Done once more, since it is not known
            # which of the rows that was, and then deleted.
            self._owes = False
            self._position = START
        position, first = self._position, ""
        self._lag = 0.0
        while True:
            page = self._outbox.read(session, position)
            first = first or page.snapshot
            if page.rows:
                self._apply(session, page)
                xact, number = page.rows[-1]
                position = Position(position.since, xact, number)
            if page.is_last:
                break
        # Not from the last page's snapshot: what became visible meanwhile may lie before that page.
        self._position = Position(first)

    def _apply(self, session: PostgresSession, page: Page) -> None:
        self._lag = max(self._lag, page.lag)
        self.number = page.rows[-1][1]
        self.count += len(page.rows)
        if self._sink.apply(_change(page)):
            self._outbox.forget(session, page)
        else:
            # If this process dies now, what it has queued for tiers out of reach dies with it: so the rows
            # stay, and whoever takes over reads them.
            if not self._owes:
                self._kept_since = self._clock.now() - page.lag
            self._owes = True

    @property
    def lag(self) -> Seconds:
        """How long the oldest row of the last look had waited, or has by now if it is kept."""
        return self._clock.now() - self._kept_since if self._owes else self._lag

    @property
    def owes(self) -> bool:
        """Whether rows are kept because a tier is out of reach."""
        return self._owes


def _change(page: Page) -> Change:
    if page.is_everything:
        return Change(is_everything=True)
    return Change(
        keys=_valid(check_key, page.keys),
        tags=_valid(check_tag, page.tags),
        patterns=_valid(Pattern, page.patterns),
        refreshed=_valid(check_key, page.refreshed),
        refreshed_patterns=_valid(Pattern, page.refreshed_patterns),
    )


def _valid(check: Callable[[str], object], names: Iterable[str]) -> tuple[str, ...]:
    """Return the names that a cache could hold; what was written by hand must not stop the others."""
    return tuple(name for name in names if _is_valid(check, name))


def _is_valid(check: Callable[[str], object], name: str) -> bool:
    try:
        check(name)
    except InvalidKeyError:
        return False
    return True
