"""How the job looks factors up: through the cache, and what is not there from the database."""

import functools
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from greencache.backends.postgres import PostgresManager
from greencache.clock import SystemClock
from greencache.demo.database import Database
from greencache.demo.figures import FACTOR_KEY, INTENSITY_KEY, REFERENCE_SOURCE
from greencache.events import NullRecorder
from greencache.manager import CacheManager
from greencache.outbox.watcher import TableWatcher
from greencache.stats import TierCounters
from greencache.tiers.view import ViewSpec, ViewTier
from greencache.typing import Key, Seconds

__all__ = ["VIEWS", "Lookup", "Views", "open_cache", "watch_factors"]

_PATIENCE: Final[Seconds] = 60.0

VIEWS: Final = (
    ViewSpec(name="grid_intensity", template=INTENSITY_KEY.text, value="grams_per_kwh"),
    ViewSpec(name="factor_value", template=FACTOR_KEY.text, value="value"),
)
"""The materialized views that are the job's L4."""

_QUERIES: Final = {
    "grid_intensity": "SELECT source, region, grams_per_kwh FROM current_intensity",
    "factor_value": "SELECT source, category, item, region, year, metric, unit, ordinal, value FROM factor",
}


class Views:
    """The job's materialized views, as whoever looks after the database sees them.

    Args:
        url: Address of PostgreSQL.
        namespace: What the cache's keys are kept under.
    """

    def __init__(self, url: str, namespace: str) -> None:
        self._tier = ViewTier(
            PostgresManager(url, timeout=_PATIENCE),
            VIEWS,
            namespace=namespace,
            clock=SystemClock(),
            counters=TierCounters(),
            recorder=NullRecorder(),
        )

    def create(self) -> None:
        """Create the views and fill them."""
        for view in VIEWS:
            self._tier.create_view(view.name, _QUERIES[view.name])

    def refresh(self) -> None:
        """Fill the views anew."""
        for view in VIEWS:
            self._tier.refresh(view.name)

    def count(self) -> int:
        """Return how many entries the views have."""
        return self._tier.usage().entries

    def close(self) -> None:
        """Give back the connection."""
        self._tier.close()


def watch_factors(url: str, namespace: str) -> None:
    """Let the table of factors say itself which keys a statement changes, once that is committed.

    Args:
        url: Address of PostgreSQL.
        namespace: What the cache's keys are kept under.
    """
    with TableWatcher(url, namespace=namespace) as watcher:
        watcher.migrate()
        watcher.watch("factor", keys=[INTENSITY_KEY.text, FACTOR_KEY.text])


def open_cache(*, l1: str, l2: str, l3: str, l4: str, namespace: str) -> CacheManager:
    """Return the job's cache over all four tiers, connected.

    Args:
        l1: Budget of this process's memory, such as "128KB".
        l2: Address of this host's Redis.
        l3: Address of the Redis that all hosts share.
        l4: Address of PostgreSQL.
        namespace: What the cache's keys are kept under.

    Raises:
        TierUnavailableError: If a server is out of reach.
    """
    return CacheManager.from_urls(
        l1=l1,
        l2=l2,
        l3=l3,
        l4=l4,
        namespace=namespace,
        views=VIEWS,
        # What happens on purpose here needs no warnings between the lines of the report.
        recorder=NullRecorder(),
    ).initialize(strict=True)


class Lookup:
    """Looks factors up through the cache.

    Args:
        cache: The cache.
        database: Where factors are loaded from that no tier has.
    """

    def __init__(self, cache: CacheManager, database: Database) -> None:
        self._cache = cache
        self._database = database

    def intensity(self, source: str, region: str) -> Decimal:
        """Return a grid's carbon intensity in g/kWh, by the reference source if its own does not know it.

        That a source does not know a grid is an answer too: cached as `None`, it is not asked for again.

        Raises:
            LookupError: The reference source does not know it either.
        """
        grams = self.known_intensity(source, region)
        if grams is None:
            grams = self.known_intensity(REFERENCE_SOURCE, region)
        if grams is None:
            raise LookupError(f"no source knows the grid of {region}")
        return grams

    def known_intensity(self, source: str, region: str) -> Decimal | None:
        """Return a grid's carbon intensity in g/kWh as a source has it; `None` if it has none."""
        key = INTENSITY_KEY.format(source=source, region=region)
        return self._cache.get_or_load(key, functools.partial(self._database.load_intensity, key))

    def factors(self, keys: Sequence[Key]) -> dict[Key, Decimal]:
        """Return published figures by their keys, all that are missing by one statement."""
        return self._cache.get_or_load_many(keys, self._database.load_factors)
