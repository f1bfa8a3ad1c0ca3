"""Looking through materialized views, which changes nothing."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from greencache.backends.postgres import PostgresManager
from greencache.clock import Clock
from greencache.events import NullRecorder
from greencache.keys import Pattern, restore_text, storage_text
from greencache.stats import TierCounters
from greencache.tiers.inspection import Inspection
from greencache.tiers.postgres_inspection import rows_if_installed
from greencache.tiers.view_source import ViewSource, sorted_by_view
from greencache.tiers.view_spec import ViewSpec
from greencache.typing import Key, Seconds

__all__ = ["ViewInspection"]

_SCAN_TIME: Final[Seconds] = 60.0


class ViewInspection:
    """Finds out what views would answer.

    Args:
        manager: Talks to the server.
        specs: The views.
        namespace: The namespace that drops are recorded for.
        clock: The clock that entry times are in.
    """

    def __init__(
        self, manager: PostgresManager, specs: Sequence[ViewSpec], *, namespace: str, clock: Clock
    ) -> None:
        self._manager = manager
        self._namespace = namespace
        # Sources of its own: what a tool finds is neither counted nor recorded.
        self._sources = tuple(
            ViewSource(
                spec,
                manager,
                namespace=namespace,
                clock=clock,
                counters=TierCounters(),
                recorder=NullRecorder(),
            )
            for spec in specs
        )

    def scan_keys(self, pattern: Pattern) -> Iterator[Sequence[Key]]:
        """Yield the matching keys of rows that are not hidden: those that a drop would hide.

        Reads all rows of all views.
        """
        for source in self._sources:
            if self._hidden(source, []) is None:
                return
            # Read to its end first: a pool may have one connection only.
            for keys in list(source.scan_keys(_SCAN_TIME)):
                matching = [key for key in keys if pattern.matches(key)]
                # Of two views that have a key, the first one answers it.
                own = [key for key, _ in sorted_by_view(self._sources, matching).get(source, ())]
                hidden = self._hidden(source, own) or ()
                yield [key for key in own if key not in hidden]

    def inspect_many(self, keys: Iterable[Key]) -> dict[Key, Inspection]:
        """Return what is there of each key; nobody holds a lease on a view."""
        found = {key: Inspection() for key in keys}
        for source, wanted in sorted_by_view(self._sources, found).items():
            hidden = self._hidden(source, [key for key, _ in wanted])
            if hidden is None:
                # To read the view would create greencache's tables.
                problem = "nothing is read before the cache has created its tables"
                found.update({key: Inspection(problem=problem) for key, _ in wanted})
                continue
            rows = source.read({key: texts for key, texts in wanted if key not in hidden})
            found.update({key: Inspection(entry=entry) for key, entry in rows.items()})
            problem = f"dropped, and hidden until {source.spec.name} is refreshed"
            found.update({key: Inspection(problem=problem) for key in hidden})
        return found

    def _hidden(self, source: ViewSource, keys: Sequence[Key]) -> set[Key] | None:
        """Return the keys that were dropped since the last refresh; `None` where no drop can be recorded."""
        parameters = {
            "namespace": self._namespace,
            "views": [source.view.known_as()] * len(keys),
            "keys": list(map(storage_text, keys)),
        }
        rows = rows_if_installed(self._manager, "views/hides", parameters)
        return None if rows is None else {restore_text(key) for (key,) in rows}
