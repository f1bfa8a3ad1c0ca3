"""Whether a server that answers in the place of another one has what that one was told."""

from collections.abc import Callable
from typing import Any

from greencache.bus.base import Bus, Logged
from greencache.bus.stream import Position
from greencache.clock import Clock
from greencache.errors import ServerReplyError, TierUnavailableError
from greencache.tiers.base import Remembering, Tier
from greencache.tiers.recent import Lineage
from greencache.typing import Seconds

__all__ = ["lineage_of"]


class _LogLineage:
    """Compares a server with the log of announcements.

    A replica that takes its primary's place lacks the last moments, which are replayed to it. A server that
    restarts from a snapshot of its disk may lack hours, which nobody remembers one by one; then everything
    that it has must be forgotten. The log tells the two apart: the authority's lies on the server itself,
    and a host's own tier remembers how far in the log it was.
    """

    def __init__(
        self, bus: Logged, clock: Clock, tier: Tier, *, is_authority: Callable[[], bool], window: Seconds
    ) -> None:
        self._bus = bus
        self._now = clock.now
        self._tier = tier
        self._is_authority = is_authority
        self._window = window

    def mark(self) -> Any:
        """Return what a server must have, the rest being remembered; `None` if nothing is known of it."""
        # Half the window, since a drop is remembered from when it was made, and is in the log a little later.
        # Who has not listened for so long remembers all that it has dropped itself, and leaves the rest to
        # those that have: else each failover while some process is young would cost all that is cached.
        return self._bus.at(self._now() - self._window / 2)

    def goes_on_from(self, mark: Any) -> bool:
        """Ask the server whether it has all up to a mark.

        Raises:
            TierUnavailableError: If it does not answer.
        """
        if self._is_authority():
            return self._bus.has(mark)
        remembered = self._tier.recall() if isinstance(self._tier, Remembering) else None
        position = None if remembered is None else Position.from_bytes(remembered)
        # A log that begins anew counts from one, so a number alone may be that of a former log.
        return position is not None and position.number >= mark.number and self._is_in_log(position)

    def _is_in_log(self, position: Position) -> bool:
        try:
            return self._bus.has(position)
        except (TierUnavailableError, ServerReplyError):
            # Of which it is no proof that the authority is away; and this tier is not.
            return False


def lineage_of(
    bus: Bus, clock: Clock, tier: Tier, is_authority: Callable[[], bool], window: Seconds
) -> Lineage | None:
    """Return what compares a tier's server with the log, if there is one.

    Args:
        bus: Reads the log.
        clock: Where the time comes from.
        tier: Whose server it is about.
        is_authority: Returns whether the log lies on that server.
        window: Seconds for which drops are remembered one by one.
    """
    if not isinstance(bus, Logged):
        return None
    return _LogLineage(bus, clock, tier, is_authority=is_authority, window=window)
