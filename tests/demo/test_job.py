"""The whole job, small: real servers, real worker processes, a real outage."""

import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from greencache.backends.redis import RedisManager
from greencache.demo import DemoError, DemoSettings, run_demo
from greencache.demo.crew import Crew
from greencache.demo.database import Database
from greencache.demo.figures import read_factors
from greencache.demo.ledger import build_ledger
from greencache.demo.lookup import Views
from greencache.demo.servers import Servers
from greencache.demo.worker import Worker, WorkerSettings
from greencache.testing import wait_until

GRID = ("codecarbon-3.3.2", "CHN")

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def outcome():
    """What the demo finds in its first rows, with one worker on each host."""
    return run_demo(DemoSettings(workers=1, rows=4_000, sample=200))


def test_every_check_holds(outcome):
    """All that the demo claims is so."""
    assert [check.name for check in outcome.failed] == []
    assert len(outcome.checks) > 15


def test_every_tier_has_answered(outcome):
    """No tier is there for show."""
    assert all(tier["hits"] > 0 for tier in outcome.as_dict()["tiers"].values())
    assert list(outcome.as_dict()["tiers"]) == ["L1", "L2", "L3", "L4"]


def test_emissions_are_equal_with_and_without_the_cache(outcome):
    """To the last digit."""
    assert outcome.grams_cached == outcome.grams_direct > 0


def test_nobody_reads_the_old_value_and_nothing_fails(outcome):
    """The two figures that a cache must not have."""
    assert outcome.stale_after_invalidate == 0
    assert outcome.errors_during_outage == 0


def test_the_loader_is_called_once_for_what_has_no_value_anywhere(outcome):
    """The passes before the correction find all but missing figures in L4."""
    assert outcome.stages[0].stats.loads.loads < 20
    assert outcome.stages[1].stats.loads.loads == 0
    assert outcome.loader_calls > 0


@pytest.fixture
def staff():
    """Two workers over real servers."""
    with Servers() as servers, Database(servers.database) as database, Crew() as crew:
        factors = read_factors()
        database.create(factors, build_ledger(factors)[:100])
        views = Views(servers.database, servers.namespace)
        views.create()
        views.close()
        yield (
            crew,
            crew.hire(
                WorkerSettings(
                    host="A",
                    number=number,
                    workers=2,
                    rows=100,
                    database=servers.database,
                    l1="128KB",
                    l2=servers.l2("A"),
                    l3=servers.l3,
                    namespace=servers.namespace,
                )
                for number in range(2)
            ),
        )


def test_workers_in_trouble_are_heard_of(staff):
    """A failure arrives with its trace, a death with its status, and neither is waited for in vain."""
    crew, members = staff
    with pytest.raises(DemoError, match=r"worker 1 of host A failed[\s\S]*TypeError"):
        crew.ask(members[:1], Worker.read)
    assert crew.ask(members, Worker.read, *GRID) == [Decimal("582.317")] * 2
    os.kill(members[1].process.pid, signal.SIGKILL)
    with pytest.raises(DemoError, match="worker 2 of host A ended with status -9"):
        crew.ask(members, Worker.read, *GRID)


def heed_interrupts():
    """Take SIGINT as a terminal would send it: a shell that runs tests in the background ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc to see processes")
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_demo_leaves_nothing_behind(sent, status, tmp_path):
    """Ctrl-C in the midst of work: workers and servers are gone, and so are their folders."""
    command = [sys.executable, "-m", "greencache", "demo", "--no-chart"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        bufsize=1,
        preexec_fn=heed_interrupts,  # noqa: PLW1509 -- one system call, before any thread
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "workers of host A" in line:
                break
        children = descendants(demo.pid)
        assert len(children) >= 4
        demo.send_signal(sent)
        said = demo.stdout.read()
    assert demo.returncode == status, said
    assert "Traceback" not in said
    wait_until(lambda: not any(map(is_alive, children)), reason="all it started has ended", deadline=20)
    assert list(tmp_path.glob("greencache-*")) == []


def descendants(pid):
    """Return the process ids of all that a process has started, directly or not."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if fields := status_of(folder.name):
            parents[int(folder.name)] = int(fields[1])
    found, new = set(), {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new} - found
        found |= new
    return found


def is_alive(pid):
    """Say whether a process is there and not a zombie."""
    fields = status_of(pid)
    return bool(fields) and fields[0] != "Z"


def status_of(pid):
    """Return the state, the parent and the rest of what Linux says of a process."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def test_servers_of_the_environment_are_left_as_they_were(monkeypatch, redis_servers, postgres_server):
    """No process of ours is killed that is not ours, it is said so, and nothing stays behind."""
    l2, l3 = redis_servers(), redis_servers()
    monkeypatch.setenv("GREENCACHE_DEMO_L2_URL", l2.database_url(3))
    monkeypatch.setenv("GREENCACHE_DEMO_L3_URL", l3.url)
    monkeypatch.setenv("GREENCACHE_DEMO_POSTGRES_URL", postgres_server.url)
    outcome = run_demo(DemoSettings(workers=1, rows=1_000, sample=100))
    assert [check.name for check in outcome.failed] == []
    assert "The outage of L3 is not shown" in outcome.notes[0]
    assert l3.is_running
    for url in (l2.database_url(3), l2.database_url(4), l3.url):
        with RedisManager(url) as redis:
            assert redis.execute(b"DBSIZE") == 0
