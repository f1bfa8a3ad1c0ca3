"""What all steps of the demo share."""

import dataclasses
from collections.abc import Sequence
from decimal import Decimal

from greencache.demo.crew import Crew, Member
from greencache.demo.database import Database
from greencache.demo.display import Display
from greencache.demo.lookup import Lookup, Views
from greencache.demo.outcome import Outcome, add_up, tonnes
from greencache.demo.passes import Passes
from greencache.demo.servers import Servers
from greencache.demo.settings import DemoSettings
from greencache.demo.worker import Share, Worker, WorkerSettings
from greencache.manager import CacheManager
from greencache.typing import Key

__all__ = ["Job"]


@dataclasses.dataclass(slots=True, kw_only=True)
class Job:
    """What all steps of the demo share.

    Args:
        settings: What the demo was told.
        display: Shows how far it is.
        outcome: Takes what came out.
        servers: PostgreSQL and the Redis servers.
        database: The job's own database.
        views: Its materialized views.
        cache: The cache of the process that conducts the workers.
        crew: All workers.
        passes: Runs passes over the ledger.
        rows: How many rows of the ledger are used.
        hosts: The workers of each host.
        corrections: Published figures that were corrected, by their keys.
    """

    settings: DemoSettings
    display: Display
    outcome: Outcome
    servers: Servers
    database: Database
    views: Views
    cache: CacheManager
    crew: Crew
    passes: Passes
    rows: int
    hosts: dict[str, list[Member]] = dataclasses.field(default_factory=dict)
    corrections: dict[Key, Decimal] = dataclasses.field(default_factory=dict)

    @property
    def lookup(self) -> Lookup:
        """Lookups by the conducting process itself."""
        return Lookup(self.cache, self.database)

    @property
    def everybody(self) -> list[Member]:
        """All workers of all hosts."""
        return [member for members in self.hosts.values() for member in members]

    def hire(self, host: str) -> None:
        """Start the workers of a host."""
        with self.display.step(f"Starting the workers of host {host}"):
            settings = [worker_settings(self, host, number) for number in range(self.settings.workers)]
            self.hosts[host] = self.crew.hire(settings)

    def loads(self) -> int:
        """Return how often all processes have called a loader so far."""
        stats = [self.cache.get_stats(), *self.crew.ask(self.everybody, Worker.stats)]
        return sum(each.loads.loads for each in stats)

    def audit(self, members: Sequence[Member], name: str) -> None:
        """Check that workers find every published figure by its key, corrections included.

        Args:
            members: Which workers.
            name: The claim.
        """
        known = self.outcome.factors * len(members) // self.settings.workers
        with self.display.step(f"Looking up {known:,} figures by their keys"):
            counts = self.crew.ask(members, Worker.audit, self.corrections)
        found = sum(found for _, found in counts)
        self.outcome.check(name, found == known, f"{found:,} of {known:,}")

    def check_emissions(self, name: str, shares: Sequence[Share], rows: int, times: int = 1) -> None:
        """Check that workers found what PostgreSQL finds, to the last digit.

        Args:
            name: The claim.
            shares: What the workers found.
            rows: How many rows of the ledger they did.
            times: How many times over.
        """
        direct = times * add_up(total.grams for total in self.database.direct_emissions(rows).values())
        cached = add_up(grams for share in shares for grams in share.grams.values())
        found = f"{tonnes(cached):,f} t" if cached == direct else f"{cached} g, not {direct} g"
        self.outcome.check(name, cached == direct, found)


def worker_settings(job: Job, host: str, number: int) -> WorkerSettings:
    """Return what a worker has to know."""
    return WorkerSettings(
        host=host,
        number=number,
        workers=job.settings.workers,
        rows=job.rows,
        database=job.servers.database,
        l1=job.settings.l1,
        l2=job.servers.l2(host),
        l3=job.servers.l3,
        namespace=job.servers.namespace,
    )
