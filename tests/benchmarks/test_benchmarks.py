"""The benchmarks that need several processes, at their smallest: what they print and keep, not how fast."""

import json
import pathlib
import subprocess
import sys

import pytest

from benchmarks.adapters import LOADING, SHARING
from benchmarks.coherence import figures_of as coherence_figures_of
from benchmarks.processes import BenchmarkError, run_together
from benchmarks.readers import Invalidation, Sight
from benchmarks.report import percentiles
from benchmarks.stampede import Call
from benchmarks.stampede import figures_of as stampede_figures_of

ROOT = pathlib.Path(__file__).parents[2]


def run(folder, name, *arguments):
    """Run a benchmark as anybody would, and return what it printed and what it kept."""
    command = [sys.executable, "-m", "benchmarks", name, "--output", str(folder), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, json.loads((folder / f"benchmark-{name}.json").read_text())


def test_a_stampede_is_shown_for_every_contender(tmp_path):
    """Each is in the table and in the JSON, measured or with the reason why not; greencache loads once."""
    printed, kept = run(
        tmp_path, "stampede", "--processes=2", "--threads=2", "--rounds=1", "--load-time=0.05"
    )
    assert set(kept["contenders"]) == {each.name for each in LOADING}
    assert all(f"\n{each.name} " in printed for each in LOADING)
    ours = kept["contenders"]["greencache"]
    assert "not measured" not in ours, ours
    assert (ours["loads"], ours["most loads in a round"], ours["waiters"]) == (1, 1, 3)
    assert ours["waits ms"]["p50"] <= ours["waits ms"]["p99"] <= ours["waits ms"]["max"]
    assert kept["settings"] == {"processes": 2, "threads": 2, "rounds": 1, "load_time": 0.05}
    assert kept["machine"]["versions"]["redis"]


def test_coherence_is_shown_for_every_contender(tmp_path):
    """By key and by tag, whatever readers do between two reads; who cannot do it has a reason instead."""
    printed, kept = run(tmp_path, "coherence", "--readers=2", "--invalidations=1")
    assert set(kept["contenders"]) == {each.name for each in SHARING}
    assert all(f"\n{each.name} " in printed for each in SHARING)
    for way in ("key, spinning", "key, pausing", "tag, spinning", "tag, pausing"):
        ours = kept["contenders"]["greencache"][way]
        assert "not measured" not in ours, ours
        assert (ours["invalidations"], ours["sights"]) == (1, 2)
        assert ours["gone after ms"]["max"] > 0
        for contender in SHARING:
            figures = kept["contenders"][contender.name][way]
            assert figures.get("not measured") or figures["sights"] == 2
    assert "none: it has no tags" in printed


def test_an_unknown_benchmark_is_refused():
    """With the names of those that there are."""
    command = [sys.executable, "-m", "benchmarks", "stampeed"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "stampede" in done.stderr


def test_waits_count_from_the_first_load_of_a_round():
    """For all but those that loaded themselves."""
    calls = [
        Call(1, 0.0, [1.0], 1.5),
        Call(1, 0.25, [], 1.25),
        Call(1, 0.5, [2.0], 2.0),
        Call(2, 5.0, [6.0], 6.0),
        Call(2, 5.0, [], 6.5),
    ]
    assert stampede_figures_of(calls) == {
        "rounds": 2,
        "loads": 3,
        "most loads in a round": 2,
        "waiters": 2,
        "waits ms": {"p50": 250.0, "p99": 500.0, "max": 500.0},
        "round ms": {"p50": 1750.0, "max": 2000.0},
    }


def test_a_value_is_gone_when_the_last_reader_has_seen_it():
    """Every reader's sight of every invalidation counts, from the call on."""
    calls = [Invalidation(1.0, 1.5), Invalidation(2.0, 2.25)]
    sights = [[Sight(1.25, 0, 10.0), Sight(2.5, 3, 20.0)], [Sight(1.5, 1, 30.0), Sight(2.125, 0, 40.0)]]
    assert coherence_figures_of(calls, sights) == {
        "invalidations": 2,
        "call ms": {"p50": 250.0, "p99": 500.0, "max": 500.0},
        "gone after ms": {"p50": 250.0, "p99": 500.0, "max": 500.0},
        "stale reads": 4,
        "sights with stale reads": 2,
        "sights": 4,
        "reads per second": 25,
    }


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, {"p50": 1.0, "p99": 1.0, "max": 1.0}), (200, {"p50": 100.0, "p99": 198.0, "max": 200.0})],
)
def test_percentiles_are_times_that_were_measured(count, expected):
    """The nearest rank."""
    assert percentiles(number / 1000 for number in range(count, 0, -1)) == expected


def test_percentiles_of_nothing_are_none():
    """A round in which everybody loads has no waiters."""
    assert percentiles([]) is None


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        ((divmod, (1, 0)), "ZeroDivisionError"),
        ((sys.exit, (3,)), "without a report"),
    ],
)
def test_a_process_that_fails_is_reported(job, reason):
    """With what it raised; the others are not waited for."""
    with pytest.raises(BenchmarkError, match=reason):
        run_together([(pow, (2, 3)), job], deadline=60)


def test_processes_that_do_not_report_are_ended():
    """At the deadline."""
    import time

    with pytest.raises(BenchmarkError, match="1 sent none"):
        run_together([(time.sleep, (600,))], deadline=0.5)
