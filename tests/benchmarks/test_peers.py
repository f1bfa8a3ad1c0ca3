"""The benchmark of L1 beside other caches: that each does the same work, not how fast."""

import argparse
import contextlib
import json
import subprocess
import sys

import pytest

from benchmarks.peers import PEERS, table
from benchmarks.peers.base import event_loop
from benchmarks.peers.work import SIZE, creations, evictions, fill, hits


@pytest.fixture(params=PEERS, ids=lambda peer: peer.name)
def peer(request):
    """Each peer that is installed, with room for fifty entries."""
    pytest.importorskip(request.param.module)
    made = request.param(50)
    with contextlib.closing(made):
        yield made


def read(peer, key):
    """Return what a peer has."""
    found = peer.get(key)
    return event_loop().run_until_complete(found) if peer.is_awaited else found


def test_a_peer_keeps_what_it_is_given(peer):
    """The value that is measured is there, and within its bound."""
    fill(peer, [f"k{number}" for number in range(20)])
    assert [read(peer, f"k{number}") for number in range(20)] == [1.0] * 20


def test_a_bounded_peer_evicts(peer):
    """What it does when it is full is what is measured as such."""
    if not peer.is_bounded or peer.name in {"diskcache.Cache", "functools.lru_cache"}:
        pytest.skip("evicts nothing, by bytes on disk, or has no way to look without storing")
    fill(peer, [f"k{number}" for number in range(500)])
    # Some evict a little late.
    assert sum(read(peer, f"k{number}") is not None for number in range(500)) < 60


def test_get_or_create_makes_a_value_once(peer):
    """Where there is such a verb."""
    if peer.get_or_create is None:
        pytest.skip("has no such verb")
    made = []
    for _ in range(3):
        assert peer.get_or_create("k", lambda: made.append(1) or 2.0) == 2.0
    assert made == [1]


def test_the_same_work_is_done_by_each(peer):
    """As many calls, whichever peer."""
    for make in (hits, evictions, creations):
        with contextlib.closing(type(peer)(SIZE)) as made:
            work = make(made)
            assert work is None or work() in (100, 1_000)


def test_each_kind_of_work_has_a_cache_of_its_own():
    """Stores in one evict nothing of what hits in another need, also where caches go by their names."""
    pytest.importorskip("django")
    command = [sys.executable, "-m", "benchmarks.peers.alone", "times", "Django LocMemCache", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert set(json.loads(done.stdout.splitlines()[-1])) == {"hit", "get_or_create", "set"}


@pytest.mark.parametrize("what", ["threads", "storm"])
def test_what_is_measured_apart_is_a_number(what):
    """Of a process of its own."""
    command = [sys.executable, "-m", "benchmarks.peers.alone", what, "greencache"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found) == {"p50", "p99", "max"} if what == "storm" else found > 0


@pytest.fixture
def missing():
    """A peer that no process has, as one that is not installed."""

    class Missing(PEERS[1]):
        name = "missing"

    return Missing


def shown(monkeypatch, capsys, *peers):
    """Return what was found of peers, and what was printed of it."""
    monkeypatch.setattr(table, "PEERS", peers)
    monkeypatch.setattr(table, "WHAT", {})
    figures = table.run(argparse.Namespace(repeats=1))
    table.show(figures)
    return figures["peers"], capsys.readouterr().out


def test_one_that_fails_is_a_finding_about_it_alone(monkeypatch, capsys, missing):
    """The table names it with the reason, and goes on."""
    found, printed = shown(monkeypatch, capsys, missing, PEERS[1])
    assert found["dict"]["times"]["hit"] > 0
    assert "not measured" not in found["dict"]
    assert "StopIteration" in found["missing"]["not measured"]
    assert "\nmissing " in printed
    assert "\ndict " in printed
    assert "\n  FAILED missing: times and what follows: StopIteration" in printed


def test_one_that_hangs_is_ended_and_named(monkeypatch, capsys):
    """Instead of keeping the table from being finished."""
    monkeypatch.setattr(table, "_DEADLINE", 0.0)
    found, printed = shown(monkeypatch, capsys, PEERS[1])
    assert "times" not in found["dict"]
    assert "\n  FAILED dict: times and what follows: over 0 s" in printed


def test_what_was_found_before_a_peer_failed_is_shown(monkeypatch, capsys):
    """In its row; and why the rest is missing, below."""

    class Unimportable(PEERS[1]):
        module = "greencache.no_such_module"

    _, printed = shown(monkeypatch, capsys, Unimportable)
    row = next(line for line in printed.splitlines() if line.startswith("dict "))
    assert float(row.split()[1].replace(",", "")) > 0
    assert "FAILED dict: import and what follows: ModuleNotFoundError" in printed
