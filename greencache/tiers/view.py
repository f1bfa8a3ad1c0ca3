"""Materialized views as a tier: only read, and silent on a dropped key until they are refreshed."""

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from greencache.backends.breaker import Breaker
from greencache.backends.postgres import PostgresManager
from greencache.backends.postgres_view_refresh import Refresh
from greencache.clock import Clock
from greencache.entry import Entry
from greencache.errors import TierUnavailableError
from greencache.events import Recorder
from greencache.keys import Pattern, storage_text
from greencache.stats import TierCounters
from greencache.tiers.base import Lease, Status, TierHealth, TierUsage
from greencache.tiers.view_inspection import ViewInspection
from greencache.tiers.view_keeper import ViewKeeper
from greencache.tiers.view_source import ViewSource, sorted_by_view
from greencache.tiers.view_spec import ViewSpec
from greencache.typing import CacheTier, Key, Seconds
from greencache.upkeep import Chore

__all__ = ["Refresh", "ViewSpec", "ViewTier"]

_CHUNK = 1_000
"""Keys in one statement."""
_MOST_PATTERNS = 64
"""Patterns kept for a view; with more, all of it is hidden until the next refresh."""
_EVERYTHING = Pattern("*")


class ViewTier:
    """Reads keys from materialized views. Nothing can be stored in it, so it gives no leases.

    A view may hold the old row of a key long after the key was dropped. So a drop is recorded in the
    database, for all processes, and a key on record is absent here until a refresh that began after it.

    Args:
        manager: Talks to the server; closed together with the tier.
        specs: The views; the first whose template fits a key answers it.
        namespace: The namespace that drops are recorded for.
        clock: The clock that entry times are in.
        counters: Counts what happens here.
        recorder: Is told of views that cannot be read, or not refreshed.
        announces: Whether the outbox of the namespace is read, into which it is written what a refresh has
            changed.
        poll_interval: Seconds between two looks for changes of what the views are made of.

    Raises:
        ConfigurationError: If the views do not fit together.
    """

    name = CacheTier.L4
    writable = False
    ttl: Seconds | None = None

    def __init__(
        self,
        manager: PostgresManager,
        specs: Sequence[ViewSpec],
        *,
        namespace: str,
        clock: Clock,
        counters: TierCounters,
        recorder: Recorder,
        announces: bool = True,
        poll_interval: Seconds = 1.0,
    ) -> None:
        self.counters = counters
        self._manager = manager
        self.place = f"PostgreSQL {manager.where}"
        self._namespace = namespace
        self._sources = tuple(
            ViewSource(spec, manager, namespace=namespace, clock=clock, counters=counters, recorder=recorder)
            for spec in specs
        )
        self._keeper = ViewKeeper(
            manager,
            self._sources,
            namespace=namespace,
            recorder=recorder,
            announces=announces,
            poll_interval=poll_interval,
        )
        schedule = self._keeper.schedule
        self.chores: tuple[Chore, ...] = (schedule,) if schedule.is_wanted else ()
        self.install = self._keeper.install
        inspection = ViewInspection(manager, specs, namespace=namespace, clock=clock)
        self.scan_keys, self.inspect_many = inspection.scan_keys, inspection.inspect_many

    # -- reading ---------------------------------------------------------------------------------------

    def get_many(self, keys: Iterable[Key]) -> dict[Key, Entry]:
        """Return the rows of keys that a template fits; a view that cannot be read has none."""
        found: dict[Key, Entry] = {}
        for source, wanted in sorted_by_view(self._sources, keys).items():
            for start in range(0, len(wanted), _CHUNK):
                found.update(source.read(dict(wanted[start : start + _CHUNK])))
        return found

    # -- storing: not here -----------------------------------------------------------------------------

    def reserve_many(self, keys: Iterable[Key]) -> dict[Key, Lease]:  # noqa: ARG002
        """Return no leases."""
        return {}

    def fill_many(self, entries: Mapping[Key, Entry], leases: Mapping[Key, Lease]) -> set[Key]:  # noqa: ARG002
        """Store nothing."""
        return set()

    def release_many(self, leases: Mapping[Key, Lease]) -> None:
        """Have nothing to give up."""

    def put_many(self, entries: Mapping[Key, Entry]) -> set[Key]:
        """Store nothing, and stop answering these keys from the views: they hold something else now."""
        self.drop_many(entries)
        return set()

    # -- dropping --------------------------------------------------------------------------------------

    def drop_many(self, keys: Iterable[Key]) -> int:
        """Stop answering keys until the next refresh, and return how many of them a view would answer."""
        dropped = [
            (source.view.known_as(), storage_text(key))
            for source, wanted in sorted_by_view(self._sources, keys).items()
            for key, _ in wanted
        ]
        for start in range(0, len(dropped), _CHUNK):
            views, stored = zip(*dropped[start : start + _CHUNK], strict=True)
            self._record("views/record_keys", views=list(views), keys=list(stored))
        self.counters.drops += len(dropped)
        return len(dropped)

    def drop_matching(self, pattern: Pattern) -> int:
        """Stop answering matching keys until the next refresh, and return how many views have such keys.

        What a server's LIKE finds beyond the pattern is not answered either, but loaded.
        """
        if pattern.literal is not None:
            return self.drop_many([pattern.literal])
        return self._drop_like((each for each in self._sources if _may_meet(pattern, each.spec)), pattern)

    def drop_all(self, view: str | None = None) -> None:
        """Stop answering any key of a view, or of all, until its next refresh: a tag or namespace is cleared.

        Args:
            view: Its name as in the spec.
        """
        if view is not None:
            self._keeper.check_known(view)
        self._drop_like((each for each in self._sources if view in (None, each.spec.name)), _EVERYTHING)

    def _drop_like(self, sources: Iterable[ViewSource], pattern: Pattern) -> int:
        views = sorted({source.view.known_as() for source in sources})
        if views:
            self._record("views/record_pattern", views=views, like=pattern.like(), limit=_MOST_PATTERNS)
        return len(views)

    def _record(self, name: str, **columns: Any) -> None:
        self._manager.ensure_schema()
        self._manager.fetch(self._manager.statement(name), {"namespace": self._namespace, **columns})

    # -- the views themselves --------------------------------------------------------------------------

    def create_view(self, view: str, query: str, *, timeout: Seconds = 60.0) -> bool:
        """Create a view with its unique index unless they exist, and return whether the view was created.

        An existing view is kept as it is, whatever its query.

        Args:
            view: Its name as in the spec.
            query: The SELECT that fills it; trusted like any SQL of the program.
            timeout: Seconds that filling it may take.

        Raises:
            ConfigurationError: The database refuses the query, or its key columns are not unique.
            TierUnavailableError: The server did not answer in time.
        """
        return self._keeper.create(view, query, timeout)

    @property
    def views(self) -> tuple[str, ...]:
        """The names of its views."""
        return self._keeper.views

    def refresh(
        self, view: str, *, concurrently: bool = True, timeout: Seconds = 60.0, lock_timeout: Seconds = 2.0
    ) -> Refresh:
        """Fill a view anew, in one process at a time, and answer again the keys dropped before it began.

        Args:
            view: Its name as in the spec.
            concurrently: Let readers read meanwhile, where the view is populated.
            timeout: Seconds that it may take.
            lock_timeout: Seconds to wait for somebody who blocks the view.

        Raises:
            TierUnavailableError: It failed; the last good contents are kept.
        """
        return self._keeper.refresh(
            view, concurrently=concurrently, timeout=timeout, lock_timeout=lock_timeout
        )

    # -- the rest --------------------------------------------------------------------------------------

    @property
    def breaker(self) -> Breaker:
        """The circuit breaker of the server, to be looked at."""
        return self._manager.breaker

    def check(self) -> TierHealth:
        """Ask the server how it is doing, and each view. Raises nothing: what is wrong is a finding."""
        health = self._manager.check()
        detail: dict[str, object] = health.detail()
        if not health.up:
            return TierHealth(status=Status.DOWN, error=health.error, detail=detail)
        try:
            states = {source.spec.name: source.state() for source in self._sources}
        except TierUnavailableError as error:
            return TierHealth(status=Status.DOWN, error=str(error), detail=detail)
        problems = [state.problem for state in states.values() if state.problem]
        return TierHealth(
            status=Status.DEGRADED if problems else Status.UP,
            latency_ms=health.latency_ms,
            error="; ".join(problems),
            detail={**detail, "views": {name: dataclasses.asdict(state) for name, state in states.items()}},
        )

    def usage(self) -> TierUsage:
        """Return the rows of all views, whoever's keys they are; costs a scan of each."""
        counts = [source.view.count() for source in self._sources if source.layout() is not None]
        return TierUsage(sum(rows for rows, _ in counts), sum(size for _, size in counts))

    def close(self) -> None:
        """Give back the connections."""
        self._manager.close()


def _may_meet(pattern: Pattern, spec: ViewSpec) -> bool:
    """Return whether a pattern may match keys of a template, going by how both begin."""
    literal = re.match(r"(?:\\.|[^\\%])*", pattern.like(), re.DOTALL)
    beginning = re.sub(r"\\(.)", r"\1", literal[0] if literal else "", flags=re.DOTALL)
    prefix = storage_text(spec.keys.prefix)
    return prefix.startswith(beginning) or beginning.startswith(prefix)
