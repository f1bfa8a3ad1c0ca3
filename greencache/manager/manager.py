"""CacheManager: the cache that users hold."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Self

from greencache.bus.base import Bus
from greencache.clock import Clock
from greencache.engine import Engine
from greencache.errors import ConfigurationError
from greencache.events import Recorder
from greencache.health import FleetHistory, HealthOptions, HealthReport, HealthSample, measure
from greencache.keys import check_key
from greencache.manager.l1 import L1
from greencache.manager.reads import Reads
from greencache.manager.transactions import Transactions
from greencache.manager.writes import Writes
from greencache.options import EntryOptions
from greencache.outbox.base import OutboxFollower
from greencache.stats import CacheStats
from greencache.strategies import Strategy
from greencache.tiers.base import Tier, TierUsage
from greencache.typing import CacheTier, Key, Seconds

if TYPE_CHECKING:
    from greencache.config import CacheConfig
    from greencache.database.source import PostgresSource
    from greencache.inspection import Explanation

__all__ = ["CacheManager"]


class CacheManager(Reads, Writes, Transactions):
    """A cache over up to four tiers; without arguments, a cache in this process's memory.

    All methods may be called from any thread or greenlet. What is given as a value may be returned to
    other callers as the same object: treat it as read-only, or choose an `isolation`. `None` is a value like
    any other.

    Args:
        tiers: The tiers from the nearest to the deepest, an L1 among them if one is wanted; `None` for
            an L1 of 5 MB alone. `from_urls` and `from_config` build them.
        namespace: Keeps this cache's keys apart from all others on the same servers.
        strategy: The order of reads and writes; cache-aside if not given.
        bus: Tells other processes what they must forget; needed when they share a tier.
        outbox: Hears what watched tables of a database invalidate.
        postgres: The database as loaders read it; from then on `postgres` of the cache.
        defaults: Options of entries for which a call gives none.
        isolation: What readers of one value share: "reference", the object itself; "frozen", a copy that
            nobody can change, made when it is stored; "copy", nothing, since each gets a copy.
        max_staleness: Seconds that a tag's stamp is believed while no bus vouches for it; `None` for ever.
            How long L1 is believed is the bus's own matter.
        patience: Seconds to wait for somebody else's load of a key before loading it oneself. Who takes
            longer to load is taken for hung.
        max_concurrent_loads: How many loaders may run at once in this process; the others wait, at most
            `patience`, and then raise `LoadTimeoutError`. `None` for any number.
        background_scope: Returns a context manager that is entered around what runs on threads of the
            cache's own, such as one that closes the database connections of that thread.
        failover_window: Seconds for which invalidations and writes of this process are remembered, to be
            repeated when another server, which may lack them, takes a Redis's place; 0 for never.
        health: How often the servers are checked in the background, and which answer is slow; by default
            never for a cache made by hand, and every 30 s for one from a configuration or addresses.
        recorder: Is told of what happens.
        clock: Where the time comes from.
        record: A file to record in what is asked of L1, keys hashed, for `greencache simulate`; the number of
            the process is put before its ending. With `tiers`, give a `RecordedMemoryTier` among them.

    Raises:
        ConfigurationError: If the parts do not fit together.
    """

    def __init__(
        self,
        tiers: Sequence[Tier] | None = None,
        *,
        namespace: str = "default",
        strategy: Strategy | None = None,
        bus: Bus | None = None,
        outbox: OutboxFollower | None = None,
        postgres: "PostgresSource | None" = None,
        defaults: EntryOptions | None = None,
        isolation: str = "reference",
        max_staleness: Seconds | None = 2.0,
        patience: Seconds = 30.0,
        max_concurrent_loads: int | None = None,
        background_scope: Callable[[], AbstractContextManager[object]] | None = None,
        failover_window: Seconds = 60.0,
        health: HealthOptions | None = None,
        recorder: Recorder | None = None,
        clock: Clock | None = None,
        record: str | os.PathLike[str] | None = None,
    ) -> None:
        engine = Engine(
            tiers if record is None else _recorded(tiers, record, clock, recorder),
            namespace=namespace,
            strategy=strategy,
            bus=bus,
            outbox=outbox,
            isolation=isolation,
            witness=postgres.witness if postgres else None,
            max_staleness=max_staleness,
            patience=patience,
            max_concurrent_loads=max_concurrent_loads,
            background_scope=background_scope,
            failover_window=failover_window,
            health=health,
            recorder=recorder,
            clock=clock,
        )
        if not isinstance(defaults, EntryOptions | None):
            raise ConfigurationError(f"defaults must be EntryOptions, got {defaults!r}")
        super().__init__(engine, defaults or EntryOptions())
        self.namespace = namespace
        self._source = postgres

    @classmethod
    def from_urls(
        cls,
        *,
        l1: str | int | None = "5MB",
        l2: str | None = None,
        l3: str | None = None,
        l4: str | None = None,
        namespace: str = "default",
        **options: Any,
    ) -> Self:
        """Return a cache over the servers at these addresses.

        Args:
            l1: Bytes of L1, such as "5MB"; `None` for no L1.
            l2: Address of the host's Redis, such as "redis://localhost:6379/0". Without an `l3` it is taken
                for one that all processes share.
            l3: Address of the Redis that all hosts share.
            l4: Address of PostgreSQL, such as "postgresql://user@host/database".
            namespace: Keeps this cache's keys apart from all others on the same servers.
            options: `max_staleness`; `views`, materialized views to read; `types`, classes of values that
                other processes store; `record`, `strategy`, `defaults`, `patience`, and others of this class.

        Raises:
            ConfigurationError: If an address or a size cannot be understood.
        """
        from greencache.build import from_urls

        return from_urls(cls, l1=l1, l2=l2, l3=l3, l4=l4, namespace=namespace, **options)

    @classmethod
    def from_config(
        cls, path: "CacheConfig | str | os.PathLike[str]", *, profile: str | None = None, **options: Any
    ) -> Self:
        """Return the cache that a YAML file describes, overruled by the environment (`GREENCACHE__…`).

        Args:
            path: The file, or a `CacheConfig`.
            profile: Which of its profiles; by default what `GREENCACHE_PROFILE` names.
            options: `views`, `types`, `recorder`, `clock`, and others of this class.

        Raises:
            ConfigurationError: If the file cannot be read or understood.
        """
        from greencache.build import from_config

        return from_config(cls, path, profile=profile, **options)

    def initialize(self, *, strict: bool = False) -> Self:
        """Connect to all servers, install what they need, and listen to the bus; then return the cache.

        Need not be called: the first call that goes beyond L1 does the same.

        Args:
            strict: Whether to raise when a server is out of reach, or a view is not as its spec says,
                instead of recording it and going on. The cache goes on all the same: close it to give up.

        Raises:
            TierUnavailableError: If `strict` and a tier is not as it should be.
            ConfigurationError: If the query of a view is refused.
        """
        self._engine.initialize(strict=strict)
        return self

    def refresh_view(self, name: str) -> bool:
        """Refresh a materialized view that L4 reads, while others go on reading it.

        Keys that were invalidated since its last refresh are read from it again afterwards.

        Args:
            name: As in its `ViewSpec`.

        Returns:
            Whether this call has refreshed it; if not, another process is doing so.

        Raises:
            InvalidArgumentError: If this cache has no such view.
            TierUnavailableError: If it failed; the last good contents are kept.
        """
        return self._engine.changes.refresh_view(name)

    @property
    def l1(self) -> L1:
        """This process's memory: `pin(key)`, `unpin(key)`, `pins`, `top(n, by="hits")`.

        Raises:
            ConfigurationError: If this cache has no L1.
        """
        memory = self._engine.stack.memory
        if memory is None:
            raise ConfigurationError("expected a cache with an L1, got one that keeps nothing in memory")
        return L1(memory)

    def get_stats(self) -> CacheStats:
        """Return the counts of this process so far; subtract two to see what happened between."""
        return self._engine.stats()

    def get_usage(self) -> Mapping[CacheTier, TierUsage]:
        """Return how much each tier holds: L1 of this process, the others of this namespace, views in all.

        Scans every tier: meant for tools. A tier that does not answer is left out.
        """
        return measure(self._engine.stack)

    def health_check(self) -> HealthReport:
        """Ask every tier how it is doing. Raises nothing: an outage is a finding."""
        return self._engine.health()

    def health_history(self) -> Mapping[CacheTier, Sequence[HealthSample]]:
        """Return what checks in the background have found in the last hour, the oldest first; asks nobody.

        One thread of the process checks each server once in an interval, however many caches use it. It
        begins with the first call that goes beyond L1.
        """
        return self._engine.watch.history()

    def fleet_health_history(self) -> FleetHistory:
        """Return the same of all processes of this namespace that share a Redis, by "host:pid".

        Raises:
            TierUnavailableError: The deepest Redis, where it is kept, is out of reach.
        """
        return self._engine.watch.fleet_history()

    def explain(self, key: Key) -> "Explanation":
        """Return why a key is served as it is, or not: print it, or take `as_dict()` for JSON.

        For each tier whether it holds the key, how fresh that is, who has the lease on it, whether the tier
        is up and what waits for it; the stamps beside the current ones; how well this process hears the
        others; and what its last reads of the key did. Changes nothing, and raises nothing for an outage.

        Args:
            key: Up to 1 KiB of text.

        Raises:
            InvalidKeyError: If it cannot be a key.
        """
        from greencache.inspection import Explainer

        engine = self._engine
        explainer = Explainer(
            engine.namespace,
            stack=engine.stack,
            stamps=engine.stamps,
            bus=engine.bus,
            flights=engine.flights,
            journal=engine.journal,
        )
        return explainer.explain(check_key(key))

    def close(self) -> None:
        """Finish background reloads, stop listening, and give back connections; may be called twice."""
        self._engine.close()
        if self._source is not None:
            self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _recorded(
    tiers: Sequence[Tier] | None,
    record: str | os.PathLike[str],
    clock: Clock | None,
    recorder: Recorder | None,
) -> list[Tier]:
    """Return the tiers of a cache in memory that is recorded."""
    from greencache.recording import AccessLog
    from greencache.tiers.memory_recorded import RecordedMemoryTier

    if tiers is not None:
        raise ConfigurationError(
            "record makes an L1 itself: expected it without tiers, or for from_urls or from_config; among"
            " tiers, give RecordedMemoryTier(accesses=AccessLog(path))"
        )
    return [RecordedMemoryTier(accesses=AccessLog(record, clock=clock, recorder=recorder), clock=clock)]
