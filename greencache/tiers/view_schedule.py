"""Refreshes views when they are due, in one process of the fleet."""

import random
from collections.abc import Callable, Sequence

from greencache.backends.postgres import PostgresManager
from greencache.backends.postgres_view_refresh import Refresh
from greencache.errors import GreencacheError
from greencache.events import Event, EventKind, Recorder
from greencache.tiers.view_plan import ViewPlan
from greencache.tiers.view_policy import RefreshPolicy, ViewRecord
from greencache.typing import CacheTier, Seconds

__all__ = ["ViewSchedule"]

_FIRST_PAUSE: Seconds = 1.0
_LONGEST_PAUSE: Seconds = 300.0


class ViewSchedule:
    """The chore of refreshing views that are due.

    Due is what the database says is due, by its own clock and its own record of refreshes; and before a
    process refreshes it looks once more, with the lock in hand. So however many processes there are, and
    whatever becomes of some of them, there is one refresh.

    Args:
        manager: Talks to the server.
        plans: The views, each after those that it is made of.
        known_as: Returns what the database calls a view: one that is spelled in two ways is refreshed once.
        refresh: Refreshes a view by its name, by a policy, unless it was since; the last argument says since
            when, exactly as the database does.
        note_failed: Writes into the database that an attempt has failed, and for how many seconds nobody is
            to try again.
        recorder: Is told of attempts that fail.
        poll_interval: Seconds between two looks for changes of sources.
    """

    name = "refreshing views"

    def __init__(
        self,
        manager: PostgresManager,
        plans: Sequence[ViewPlan],
        *,
        known_as: Callable[[str], str],
        refresh: Callable[[str, RefreshPolicy, str | None], Refresh],
        note_failed: Callable[[str, Exception, Seconds], None],
        recorder: Recorder,
        poll_interval: Seconds = 1.0,
    ) -> None:
        self._manager = manager
        self._policies = {plan.name: plan.refresh for plan in plans if plan.refresh is not None}
        self._known_as = known_as
        self._refresh = refresh
        self._note_failed = note_failed
        self._recorder = recorder
        self._poll_interval = poll_interval
        self._longest = poll_interval if any(each.on for each in self._policies.values()) else 60.0
        self._failing: set[str] = set()

    @property
    def is_wanted(self) -> bool:
        """Whether any view is refreshed by itself."""
        return bool(self._policies)

    def attempt(self) -> Seconds:
        """Refresh what is due, and return the seconds until something else may be.

        Raises:
            TierUnavailableError: The server does not answer.
        """
        has_tried = False
        for view, policy in self._policies.items():
            # Looked up for each: what was refreshed before it may have made it due.
            record = self._records([view])[view]
            if policy.seconds_until_due(record) <= 0:
                self._try(view, policy, record)
                has_tried = True
        if has_tried:
            return self._spread(self._poll_interval)
        records = self._records(list(self._policies))
        waits = [policy.seconds_until_due(records[view]) for view, policy in self._policies.items()]
        return self._spread(min(self._longest, max(min(waits), 0.01)))

    def _try(self, view: str, policy: RefreshPolicy, record: ViewRecord) -> None:
        try:
            self._refresh(view, policy, record.last)
        except GreencacheError as error:
            pause = min(_FIRST_PAUSE * 2**record.failures, _LONGEST_PAUSE)
            # Full jitter: processes that were refused together do not come back together.
            self._note_failed(view, error, pause * random.uniform(0.5, 1.0))  # noqa: S311
            self._tell(view, error)
        else:
            self._failing.discard(view)

    def _tell(self, view: str, error: Exception) -> None:
        if view not in self._failing:
            self._failing.add(view)
            detail = {"view": view, "error": str(error)}
            self._recorder.record(Event(EventKind.REFRESH_FAILED, CacheTier.L4, detail=detail))

    def _records(self, views: list[str]) -> dict[str, ViewRecord]:
        names = {view: self._known_as(view) for view in views}
        wanted = {"views": sorted(set(names.values()))}
        rows = self._manager.fetch(self._manager.statement("views/schedule"), wanted)
        records = {
            name: ViewRecord(
                last=last, began=began, now=now, wished=wished, retry_in=retry_in, failures=failures
            )
            for name, last, began, now, wished, retry_in, failures in rows
        }
        return {view: records[name] for view, name in names.items()}

    @staticmethod
    def _spread(pause: Seconds) -> Seconds:
        # Later by up to a tenth, so that not all processes of a fleet come at the same moment.
        return pause * random.uniform(1.0, 1.1)  # noqa: S311
