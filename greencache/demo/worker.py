"""A worker process: its own cache over the shared tiers, and a share of the ledger."""

import contextlib
import dataclasses
import decimal
import itertools
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from greencache.demo.database import Database
from greencache.demo.figures import INTENSITY_KEY, read_factors
from greencache.demo.ledger import Activity
from greencache.demo.lookup import Lookup, open_cache
from greencache.demo.outcome import EXACT
from greencache.errors import InvalidationPending
from greencache.stats import CacheStats
from greencache.testing import WaitTimeoutError, wait_until
from greencache.typing import CacheTier, Key, Seconds

__all__ = ["Answer", "Failure", "Progress", "Reading", "Share", "Worker", "WorkerSettings", "serve"]

_PORTIONS: Final = 200


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """What a worker has to know.

    Args:
        host: The host it stands for; hosts differ in their L2.
        number: Which worker of its host it is, from 0.
        workers: How many there are on its host.
        rows: How many rows of the ledger they do together.
        database: Address of PostgreSQL.
        l1: Budget of its memory.
        l2: Address of its host's Redis.
        l3: Address of the shared Redis.
        namespace: What the cache's keys are kept under.
    """

    host: str
    number: int
    workers: int
    rows: int
    database: str
    l1: str
    l2: str
    l3: str
    namespace: str


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """Further rows that a worker has done."""

    rows: int


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What a method returned."""

    value: object


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """What a method raised, as text: not every exception survives the way between processes."""

    trace: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What came out of one worker's pass over its rows.

    Args:
        rows: Rows multiplied by their factor.
        seconds: Time it took.
        grams: Emissions by source, exact.
        kwh: What was generated, by source.
        stats: What the cache counted meanwhile.
        errors: Exceptions that lookups raised, by name.
    """

    rows: int
    seconds: Seconds
    grams: dict[str, Decimal]
    kwh: dict[str, int]
    stats: CacheStats
    errors: dict[str, int]


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """What a worker read of a corrected factor.

    Args:
        seconds: How long it took until the new value was read.
        stale: Of the reads after that moment, or after the time limit, those with another value.
    """

    seconds: Seconds
    stale: int


class Worker:
    """One worker; its public methods are what a crew may ask of it.

    Args:
        settings: What it has to know.
        report: Takes how many further rows are done.
    """

    def __init__(self, settings: WorkerSettings, report: Callable[[int], None]) -> None:
        self._settings = settings
        self._report = report
        with contextlib.ExitStack() as stack:
            self._database = stack.enter_context(Database(settings.database))
            tiers = {"l1": settings.l1, "l2": settings.l2, "l3": settings.l3, "l4": settings.database}
            self._cache = stack.enter_context(open_cache(**tiers, namespace=settings.namespace))
            self._lookup = Lookup(self._cache, self._database)
            self._rows = self._database.activities(settings.rows, settings.number, settings.workers)
            self._resources = stack.pop_all()

    def close(self) -> None:
        """Give back what it holds."""
        self._resources.close()

    def run_pass(self, limit: int | None = None) -> Share:
        """Multiply rows by their factors.

        Args:
            limit: How many rows at most; `None` for all of its share.
        """
        before, started = self._cache.get_stats(), time.perf_counter()
        grams: Counter[str] = Counter()
        kwh: Counter[str] = Counter()
        errors: Counter[str] = Counter()
        with decimal.localcontext(EXACT):
            for rows in _portions(self._rows[:limit]):
                for row in rows:
                    self._add(row, grams, kwh, errors)
                self._report(len(rows))
        return Share(
            rows=len(self._rows[:limit]),
            seconds=time.perf_counter() - started,
            grams=dict(grams),  # type: ignore[arg-type]  # a Counter adds Decimals as well
            kwh=dict(kwh),
            stats=self._cache.get_stats() - before,
            errors=dict(errors),
        )

    def _add(self, row: Activity, grams: Counter[str], kwh: Counter[str], errors: Counter[str]) -> None:
        try:
            intensity = self._lookup.intensity(row.source, row.region)
        except Exception as error:
            # Counted instead of raised: how many there are, during an outage too, is what the demo shows.
            errors[type(error).__name__] += 1
            return
        grams[row.source] += row.kwh * intensity  # type: ignore[assignment]
        kwh[row.source] += row.kwh

    def audit(self, corrections: Mapping[Key, Decimal]) -> tuple[int, int]:
        """Look up every published figure of this worker's share by its key.

        Args:
            corrections: What some of them were corrected to since.

        Returns:
            How many there are, and how many came back as published and corrected.
        """
        factors = read_factors()[self._settings.number :: self._settings.workers]
        published = {factor.key: corrections.get(factor.key, factor.value) for factor in factors}
        found = self._lookup.factors(list(published))
        return len(published), sum(found.get(key) == value for key, value in published.items())

    def read(self, source: str, region: str) -> Decimal | None:
        """Return an intensity as the cache has it."""
        return self._lookup.known_intensity(source, region)

    def await_correction(
        self, source: str, region: str, expected: Decimal, patience: Seconds, reads: int = 1_000
    ) -> Reading:
        """Read an intensity until it is the corrected one, then many times more.

        Args:
            source: Whose figure it is.
            region: Of which grid.
            expected: The corrected figure.
            patience: Seconds after which the old figure counts as stale.
            reads: How many times more.
        """
        started = time.perf_counter()
        with contextlib.suppress(WaitTimeoutError):  # what is read from now on counts as stale
            wait_until(
                lambda: self.read(source, region) == expected,
                reason="the corrected figure is read",
                deadline=patience,
                interval=0.001,
            )
        seconds = time.perf_counter() - started
        return Reading(seconds, sum(self.read(source, region) != expected for _ in range(reads)))

    def time_hits(self, source: str, region: str, lookups: int = 20_000) -> Seconds:
        """Return the time of one lookup that L1 answers, key and all made beforehand."""
        key = INTENSITY_KEY.format(source=source, region=region)
        get = self._cache.get
        get(key)
        started = time.perf_counter()
        for _ in itertools.repeat(None, lookups):
            get(key)
        return (time.perf_counter() - started) / lookups

    def stats(self) -> CacheStats:
        """Return what its cache has counted so far."""
        return self._cache.get_stats()

    def usage(self) -> dict[CacheTier, int]:
        """Return how many entries each tier holds, as this worker sees it."""
        return {tier: usage.entries for tier, usage in self._cache.get_usage().items()}

    def reaches_all_tiers(self) -> bool:
        """Return whether every tier takes what this worker writes."""
        try:
            self._cache.set("probe", None, ttl=1.0)
        except InvalidationPending:
            return False
        return True


def _portions(rows: Sequence[Activity]) -> Iterator[Sequence[Activity]]:
    size = max(1, len(rows) // _PORTIONS)
    return (rows[start : start + size] for start in range(0, len(rows), size))


def serve(connection: Any, settings: WorkerSettings) -> None:
    """Be a worker until the other end of the connection is closed."""
    try:
        worker = Worker(settings, lambda rows: connection.send(Progress(rows)))
    except Exception:
        connection.send(Failure(traceback.format_exc()))
        return
    with contextlib.closing(worker), contextlib.suppress(EOFError, ConnectionError):
        connection.send(Answer(None))
        while True:
            name, args, kwargs = connection.recv()
            connection.send(_answer(getattr(worker, name), args, kwargs))


def _answer(
    method: Callable[..., object], args: Sequence[object], kwargs: dict[str, object]
) -> Answer | Failure:
    try:
        return Answer(method(*args, **kwargs))
    except Exception:
        # Whatever it is, whoever asked is to know.
        return Failure(traceback.format_exc())
