"""The job when all is well: without the cache, with a cold and a warm one, and on a second host."""

import time
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from greencache.demo.figures import REFERENCE_SOURCE
from greencache.demo.outcome import EXACT, Stage, add_up, combine_stats, tonnes
from greencache.demo.servers import HOSTS
from greencache.demo.setting import Job
from greencache.demo.worker import Share, Worker
from greencache.typing import CacheTier

__all__ = ["run_cold_and_warm", "run_directly", "run_on_second_host"]

_FIRST, _SECOND = HOSTS
_BUSIEST: Final = (REFERENCE_SOURCE, "CHN")


def run_directly(job: Job) -> None:
    """Let PostgreSQL do the whole job, then ask it row by row, as a job without a cache would."""
    outcome = job.outcome
    totals = job.database.direct_emissions(job.rows)
    outcome.grams_direct = add_up(total.grams for total in totals.values())
    rows = job.database.activities(min(job.settings.sample, job.rows), 0, 1)
    grams = Decimal(0)
    with job.display.step("Straight against PostgreSQL, a sample", len(rows)) as advance:
        started = time.perf_counter()
        for row in rows:
            intensity = job.database.intensity(row.source, row.region)
            if intensity is None:
                intensity = job.database.intensity(REFERENCE_SOURCE, row.region)
            grams = EXACT.fma(Decimal(row.kwh), intensity or Decimal("NaN"), grams)
            advance(1)
        seconds = time.perf_counter() - started
    outcome.sample_rows = len(rows)
    outcome.lookup_seconds["direct"] = seconds / len(rows)
    joined = add_up(total.grams for total in job.database.direct_emissions(len(rows)).values())
    outcome.check("row by row PostgreSQL finds what one join finds", grams == joined, f"{tonnes(grams):,f} t")


def run_cold_and_warm(job: Job) -> None:
    """Run the job over the cache twice, and look every figure up once."""
    job.hire(_FIRST)
    members = job.hosts[_FIRST]
    cold = job.passes.run("cold", members, job.rows)
    job.check_emissions("cold: emissions as without the cache", cold, job.rows)
    warm = job.passes.run("warm", members, job.rows)
    job.check_emissions("warm: emissions as without the cache", warm, job.rows)
    _note_emissions(job, warm)
    job.audit(members, "every figure comes back by its key")
    job.outcome.entries = job.crew.ask(members[:1], Worker.usage)[0]
    times = job.crew.ask(members, Worker.time_hits, *_BUSIEST)
    job.outcome.lookup_seconds["L1"] = min(times)


def _note_emissions(job: Job, shares: Sequence[Share]) -> None:
    outcome = job.outcome
    kwh: Counter[str] = Counter()
    for share in shares:
        kwh.update(share.kwh)
    outcome.kwh_by_source = dict(sorted(kwh.items()))
    outcome.grams_by_source = {
        source: add_up(share.grams.get(source, Decimal(0)) for share in shares)
        for source in outcome.kwh_by_source
    }
    outcome.grams_cached = add_up(outcome.grams_by_source.values())


def run_on_second_host(job: Job) -> None:
    """Run the job on a host whose own Redis is empty: the shared one answers."""
    job.hire(_SECOND)
    shares = job.passes.run("host B", job.hosts[_SECOND], job.rows)
    job.check_emissions("host B: emissions as without the cache", shares, job.rows)
    stage = job.outcome.stages[-1]
    hits = stage.stats[CacheTier.L3].hits
    job.outcome.check("host B, whose L2 was empty: L3 answers", hits > 0, f"{hits:,} hits")
    _note_times(job, job.outcome.stages)
    by_tier = {tier.name: counts.hits for tier, counts in job.outcome.stats.tiers.items()}
    found = ", ".join(f"{name} {count:,}" for name, count in by_tier.items())
    job.outcome.check("every tier answers", all(by_tier.values()), found)


def _note_times(job: Job, stages: Sequence[Stage]) -> None:
    # Before anything is broken on purpose: an outage's timeouts are not lookups.
    for tier, counts in combine_stats(stage.stats for stage in stages).tiers.items():
        if tier is not CacheTier.L1 and counts.lookups:
            job.outcome.lookup_seconds[tier.name] = counts.seconds / counts.lookups
