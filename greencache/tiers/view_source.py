"""One materialized view as a source of entries."""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping

from greencache.backends.postgres import PostgresManager, Row
from greencache.backends.postgres_errors import StatementRefusedError
from greencache.backends.postgres_sql import Statement
from greencache.backends.postgres_view import PostgresView, ViewLayout
from greencache.clock import Clock
from greencache.entry import Entry
from greencache.events import Event, EventKind, Recorder
from greencache.keys import restore_text, storage_text
from greencache.stats import TierCounters
from greencache.tiers.view_spec import ViewSpec, can_be
from greencache.tiers.view_state import ViewState, complaint
from greencache.typing import CacheTier, Key, Seconds

__all__ = ["ViewSource", "sorted_by_view"]

_LOOK_AGAIN_AFTER: Seconds = 5.0
"""How long a view that cannot be read is left alone."""
_STALE_FOR: Seconds = 1.0
"""How long the tiers above keep what is served although it is too old."""
_BAD_VALUE = ("22", "23")
"""Classes of SQLSTATE for a value that a type does not take."""

_Wanted = Mapping[Key, tuple[str | None, ...]]


@dataclasses.dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a view that can be read.

    Args:
        layout: What it looks like.
        query: Reads its rows.
        live: Reads the same rows from its sources, if that is done when it is too old.
    """

    layout: ViewLayout
    query: Statement
    live: Statement | None


def sorted_by_view(
    sources: Iterable["ViewSource"], keys: Iterable[Key]
) -> dict["ViewSource", list[tuple[Key, tuple[str | None, ...]]]]:
    """Return the keys, with the texts of their fields, that each view answers: the first that fits does."""
    wanted: dict[ViewSource, list[tuple[Key, tuple[str | None, ...]]]] = {}
    views = list(sources)
    for key in dict.fromkeys(keys):
        for source in views:
            texts = source.spec.keys.parse(key)
            if texts is not None:
                wanted.setdefault(source, []).append((key, tuple(texts.values())))
                break
    return wanted


class ViewSource:
    """Reads entries from one view.

    Args:
        spec: What it answers.
        manager: Talks to the server.
        namespace: The namespace that drops are recorded for.
        clock: The clock that entry times are in.
        counters: The tier's counters.
        recorder: Is told when the view cannot be read.
    """

    def __init__(
        self,
        spec: ViewSpec,
        manager: PostgresManager,
        *,
        namespace: str,
        clock: Clock,
        counters: TierCounters,
        recorder: Recorder,
    ) -> None:
        self.spec = spec
        self.view = PostgresView(manager, spec.name, spec.key_columns, spec.value_columns)
        self._manager = manager
        self._namespace = namespace
        self._clock = clock
        self._counters = counters
        self._recorder = recorder
        self._known: _Known | None = None
        self._problem = ""
        self._look_after = -math.inf

    # -- what the view looks like ----------------------------------------------------------------------

    def layout(self) -> _Known | None:
        """Return the view's layout and how to read it, or `None` if it cannot be read.

        Raises:
            TierUnavailableError: The server does not answer.
        """
        # Two threads may look at once and find the same; the reference is replaced as a whole.
        if self._known is None and self._clock.now() >= self._look_after:
            self._manager.ensure_schema()
            layout = self.view.describe()
            if layout.problem:
                self._give_up(layout.problem)
            else:
                self._problem = ""
                self._known = self._read_by(layout)
        return self._known

    def _read_by(self, layout: ViewLayout) -> _Known:
        query = self.spec.query if self.spec.when_old == "query" else None
        live = None if query is None else self.view.reading(layout, query.rstrip("; \n"))
        return _Known(layout, self.view.reading(layout), live)

    def look_again(self) -> None:
        """Forget what is known: the view has changed."""
        self._known = None
        self._look_after = -math.inf

    def state(self) -> ViewState:
        """Return how the view is doing, looked up anew.

        Raises:
            TierUnavailableError: The server does not answer.
        """
        self.look_again()
        self.layout()
        names = {"view": self.view.known_as(), "namespace": self._namespace, "name": self.view.spelled}
        [row] = self._manager.fetch(self._manager.statement("views/status"), names)
        *columns, oldest = row
        state = ViewState(self._problem, *columns)
        return dataclasses.replace(state, problem=state.problem or complaint(self.spec, state, oldest))

    def _give_up(self, problem: str) -> None:
        self._known = None
        self._look_after = self._clock.now() + _LOOK_AGAIN_AFTER
        is_news, self._problem = problem != self._problem, problem
        if is_news:
            detail = {"feature": f"materialized view {self.spec.name}", "reason": problem}
            self._recorder.record(Event(EventKind.FEATURE_MISSING, CacheTier.L4, detail=detail))

    # -- reading ---------------------------------------------------------------------------------------

    def read(self, wanted: _Wanted) -> dict[Key, Entry]:
        """Return the entries of the keys that have a row.

        Args:
            wanted: Keys that fit the template, with the texts of their fields.

        Raises:
            TierUnavailableError: The server does not answer.
        """
        known = self.layout()
        if known is None:
            return {}
        layout, query = known.layout, known.query
        types = [layout.types[column] for column in self.spec.key_columns]
        possible = {
            key: texts
            for key, texts in wanted.items()
            if all(text is not None and can_be(text, kind) for text, kind in zip(texts, types, strict=True))
        }
        rows = self._rows(query, possible)
        if known.live is not None:
            age = 1 + len(types)
            old = {restore_text(row[0]) for row in rows if self._is_too_old(row[age])}
            if old:
                rows = [row for row in rows if restore_text(row[0]) not in old]
                asked = self._rows(known.live, {key: possible[key] for key in old})
                rows += [(*row[:age], 0.0, *row[age + 1 :]) for row in asked]
        return self._entries(rows)

    def _is_too_old(self, age: Seconds | None) -> bool:
        limit = self.spec.max_age
        return limit is not None and (age is None or age >= limit)

    def scan_keys(self, timeout: Seconds) -> Iterator[list[Key]]:
        """Yield the keys of all rows, batch by batch, in a transaction that lasts as long as this.

        Args:
            timeout: Seconds for all of it.

        Raises:
            TierUnavailableError: The server does not answer.
        """
        known = self.layout()
        if known is None:
            return
        for rows in self.view.scan(known.layout, timeout):
            # Where a key column is null, there is no key that the row could be read by.
            keys = [self.spec.key_of(row) for row in rows if None not in row]
            yield [key for key in keys if key is not None]

    def _rows(self, query: Statement, wanted: _Wanted) -> list[Row]:
        if not wanted:
            return []
        columns = zip(*wanted.values(), strict=True)
        params = {f"k{number}": list(texts) for number, texts in enumerate(columns)}
        try:
            return self._manager.fetch(
                query,
                {
                    "namespace": self._namespace,
                    "view": self.view.known_as(),
                    "keys": [storage_text(key) for key in wanted],
                    **params,
                },
            )
        except StatementRefusedError as error:
            if error.sqlstate[:2] in _BAD_VALUE:
                return self._rows_by_halves(query, wanted)
            self._give_up(str(error))
            return []

    def _rows_by_halves(self, query: Statement, wanted: _Wanted) -> list[Row]:
        """Read a batch in which the server refuses a value of a type that only it knows, such as an enum."""
        if len(wanted) == 1:
            return []
        items = list(wanted.items())
        middle = len(items) // 2
        return self._rows(query, dict(items[:middle])) + self._rows(query, dict(items[middle:]))

    def _entries(self, rows: Iterable[Row]) -> dict[Key, Entry]:
        width = len(self.spec.key_columns)
        found: dict[Key, Entry] = {}
        for stored, *columns in rows:
            key = restore_text(stored)
            # Equal for the database need not be the same key: 1.0 = 1.00. A drop names one key, so only
            # the row's own key may be answered.
            if self.spec.key_of(columns[:width]) != key:
                continue
            entry = self._entry(key, columns[width], columns[width + 1 :])
            if entry is not None:
                found[key] = entry
        return found

    def _entry(self, key: Key, age: Seconds | None, columns: list[object]) -> Entry | None:
        left = self._time_left(age)
        if left <= 0:
            return None
        try:
            value = self.spec.make(columns)
        except Exception as error:
            # The row type is the user's code; a row that it refuses is as good as none.
            self._counters.undecodable += 1
            self._recorder.record(Event(EventKind.UNDECODABLE, CacheTier.L4, key, {"reason": repr(error)}))
            return None
        return Entry(value, self._clock.now() + left, created=self._clock.wall() - (age or 0.0))

    def _time_left(self, age: Seconds | None) -> Seconds:
        """Return the seconds for which a row read now may be called fresh."""
        left = math.inf if self.spec.ttl is None else self.spec.ttl
        if self.spec.max_age is None:
            return left
        if self._is_too_old(age):
            return min(left, _STALE_FOR) if self.spec.when_old == "serve" else 0.0
        return min(left, self.spec.max_age - (age or 0.0))
