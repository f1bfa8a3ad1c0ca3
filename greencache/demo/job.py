"""The main job from beginning to end."""

import contextlib
import time

from greencache.demo.correction import correct_a_factor
from greencache.demo.crew import Crew
from greencache.demo.database import Database
from greencache.demo.display import Display, SilentDisplay
from greencache.demo.figures import read_factors
from greencache.demo.ledger import build_ledger
from greencache.demo.lookup import Views, open_cache, watch_factors
from greencache.demo.outage import survive_an_outage
from greencache.demo.outcome import Outcome
from greencache.demo.passes import Passes
from greencache.demo.servers import HOSTS, Servers
from greencache.demo.setting import Job
from greencache.demo.settings import DemoSettings
from greencache.demo.steady import run_cold_and_warm, run_directly, run_on_second_host

__all__ = ["run_demo"]


def run_demo(settings: DemoSettings | None = None, display: Display | None = None) -> Outcome:
    """Run the job, with and without the cache, through a correction and an outage.

    Args:
        settings: What it is told.
        display: Shows how far it is.

    Returns:
        What came out; its `failed` is empty if all that the demo claims is so.

    Raises:
        DemoError: If it could not run to its end.
        ServerError: If a server can neither be found nor started.
    """
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        job = _prepare(stack, settings or DemoSettings(), display or SilentDisplay())
        run_directly(job)
        run_cold_and_warm(job)
        run_on_second_host(job)
        correct_a_factor(job)
        survive_an_outage(job)
        job.outcome.loader_calls = job.loads()
    job.outcome.seconds = time.monotonic() - started
    return job.outcome


def _prepare(stack: contextlib.ExitStack, settings: DemoSettings, display: Display) -> Job:
    with display.step("Starting PostgreSQL and two Redis servers"):
        servers = stack.enter_context(Servers())
    database = stack.enter_context(Database(servers.database))
    with display.step("Loading factors and ledger, creating views and triggers"):
        factors = read_factors()
        ledger = build_ledger(factors)
        database.create(factors, ledger)
        views = stack.enter_context(contextlib.closing(Views(servers.database, servers.namespace)))
        views.create()
        watch_factors(servers.database, servers.namespace)
    rows = min(len(ledger), settings.rows or len(ledger))
    outcome = Outcome(servers=servers.describe(), factors=len(factors), ledger_rows=rows)
    urls = {"l1": settings.l1, "l2": servers.l2(HOSTS[0]), "l3": servers.l3, "l4": servers.database}
    cache = stack.enter_context(open_cache(**urls, namespace=servers.namespace))
    # Last, so that it is first to go: nobody works while servers stop.
    crew = stack.enter_context(Crew())
    return Job(
        settings=settings,
        display=display,
        outcome=outcome,
        servers=servers,
        database=database,
        views=views,
        cache=cache,
        crew=crew,
        passes=Passes(crew, display, outcome),
        rows=rows,
    )
