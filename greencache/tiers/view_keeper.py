"""Creates materialized views and keeps them fresh."""

import dataclasses
from collections.abc import Mapping, Sequence

from greencache.backends.postgres import PostgresManager
from greencache.backends.postgres_view_events import ViewEvents
from greencache.backends.postgres_view_refresh import Refresh, ViewReader, ViewRefresher
from greencache.errors import InvalidArgumentError, TierUnavailableError
from greencache.events import Recorder
from greencache.tiers.view_plan import ViewPlan, plan_views
from greencache.tiers.view_policy import RefreshPolicy
from greencache.tiers.view_schedule import ViewSchedule
from greencache.tiers.view_source import ViewSource
from greencache.typing import Seconds

__all__ = ["ViewKeeper"]

_CREATION_TIME: Seconds = 60.0


class ViewKeeper:
    """Creates the views of a cache, and refreshes them.

    Args:
        manager: Talks to the server.
        sources: How the views are read.
        namespace: The cache's.
        recorder: Is told of refreshes that fail.
        announces: Whether the outbox of the namespace is read.
        poll_interval: Seconds between two looks for changes of the views' sources.

    Raises:
        ConfigurationError: If the views do not fit together.
    """

    def __init__(
        self,
        manager: PostgresManager,
        sources: Sequence[ViewSource],
        *,
        namespace: str,
        recorder: Recorder,
        announces: bool,
        poll_interval: Seconds,
    ) -> None:
        self._manager = manager
        self._namespace = namespace
        self._announces = announces
        self._sources = tuple(sources)
        plans = plan_views([source.spec for source in sources])
        self._plans: Mapping[str, ViewPlan] = {plan.name: plan for plan in plans}
        self._views = {source.spec.name: source.view for source in self._sources}
        self.schedule = ViewSchedule(
            manager,
            plans,
            known_as=lambda view: self._views[view].known_as(),
            refresh=self._refresh_due,
            note_failed=self._note_failed,
            recorder=recorder,
            poll_interval=poll_interval,
        )

    def _refresher(self, view: str) -> ViewRefresher:
        """Return what refreshes a view for all that read it, by whichever of its names they do."""
        sources = self._of(view)
        dependents = {
            name: self._views[name] for source in sources for name in self._plans[source.spec.name].dependents
        }
        return ViewRefresher(
            self._manager,
            self._namespace,
            [ViewReader(source.view, source.spec.key_of, source.spec.pattern) for source in sources],
            dependents=list(dependents.values()),
            announces=self._announces,
        )

    @property
    def views(self) -> tuple[str, ...]:
        """The names of the views, each after those that it is made of."""
        return tuple(self._plans)

    def install(self) -> None:
        """Create the views that have a query unless they are there, and let their tables make them due.

        Raises:
            ConfigurationError: The database refuses a query or a trigger, or key columns are not unique.
            TierUnavailableError: The server did not answer in time.
        """
        self._manager.ensure_schema()
        self._require_agreement()
        for plan in self._plans.values():
            known_as = self._views[plan.name].known_as()
            if plan.query is not None:
                self.create(plan.name, plan.query, _CREATION_TIME)
            if plan.tables:
                former = [known_as.rpartition(".")[2], *(source.spec.name for source in self._of(plan.name))]
                ViewEvents(self._manager, known_as, former=former).install(plan.tables)
            if self._announces:
                patterns = [source.spec.pattern for source in self._of(plan.name)]
                names = {"view": known_as, "namespace": self._namespace, "patterns": patterns}
                self._manager.execute(self._manager.statement("views/register"), names)

    def create(self, view: str, query: str, timeout: Seconds) -> bool:
        """Create a view with its unique indexes unless they exist; return whether the view was created."""
        is_new = self._known(view).create(query, timeout)
        self._look_again(view)
        return is_new

    def refresh(self, view: str, *, concurrently: bool, timeout: Seconds, lock_timeout: Seconds) -> Refresh:
        """Fill a view anew, in one process at a time."""
        refresher = self._known(view)
        refresh = refresher.refresh(concurrently=concurrently, timeout=timeout, lock_timeout=lock_timeout)
        self._look_again(view)
        return refresh

    def _refresh_due(self, view: str, policy: RefreshPolicy, last: str | None) -> Refresh:
        for source in self._of(view):
            layout = source.view.describe()
            # One that was never filled is: any other problem would be the same afterwards.
            if layout.problem and (layout.is_populated or not layout.types):
                raise TierUnavailableError(layout.problem)
        refresh = self._refresher(view).refresh(
            concurrently=True, timeout=policy.timeout, lock_timeout=policy.lock_timeout, last=last
        )
        self._look_again(view)
        return refresh

    def _note_failed(self, view: str, error: Exception, pause: Seconds) -> None:
        self._refresher(view).note_failed(error, pause)

    def _look_again(self, view: str) -> None:
        for source in self._of(view):
            source.look_again()

    def _of(self, view: str) -> list[ViewSource]:
        """Return how a view is read, by whichever of its names."""
        name = self._views[view].known_as()
        return [source for source in self._sources if source.view.known_as() == name]

    def _require_agreement(self) -> None:
        """Refuse specs that contradict each other where the database knows that they are of one view."""
        names = {spelled: view.known_as() for spelled, view in self._views.items()}
        plan_views(
            [
                dataclasses.replace(spec, name=names[spec.name], after=[names[each] for each in spec.after])
                for spec in (source.spec for source in self._sources)
            ]
        )

    def check_known(self, view: str) -> None:
        """Refuse the name of a view that is none of the cache's.

        Raises:
            InvalidArgumentError: It is not.
        """
        if view not in self._views:
            raise InvalidArgumentError(f"expected view as one of {list(self.views)}, got {view!r}")

    def _known(self, view: str) -> ViewRefresher:
        self.check_known(view)
        return self._refresher(view)
