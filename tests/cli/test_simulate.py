"""`greencache simulate`."""

import json

import pytest
from typer.testing import CliRunner

from greencache.cli.app import app


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the command with some words, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return lambda *words: CliRunner().invoke(app, ["simulate", *words])


@pytest.fixture
def trace(tmp_path):
    """A small trace with sizes, times and costs."""
    lines = [f"k{number * number % 37},{100 + number % 7},{number},0.5" for number in range(500)]
    path = tmp_path / "trace.csv"
    path.write_text("key,size,time,cost\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_it_prints_ratios_and_the_size_worth_its_memory(run, trace, tmp_path):
    """For all policies and the bound; the chart is written twice."""
    result = run(trace, "--size", "0.5kB,1kB,4kB")
    assert result.exit_code == 0, result.output
    for word in (
        "default",
        "sieve",
        "random",
        "optimum (Bélády), at most",
        "Hit ratio",
        "Byte hit ratio",
        "Cost saved",
        "4kB",
    ):
        assert word in result.output
    assert "Worth its memory, with default:" in result.output
    assert {file.suffix for file in (tmp_path / "simulate-output").iterdir()} == {".png", ".svg"}


def test_it_counts_entries_and_writes_figures(run, trace, tmp_path):
    """By count the optimum is exact."""
    words = [
        "--entries",
        "5,10",
        "--policy",
        "lru, s3fifo",
        "--no-chart",
        "--json",
        "out.json",
        "--ttl",
        "60s",
    ]
    result = run(trace, *words)
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert [outcome["size"] for outcome in found["outcomes"]] == [5, 10, 5, 10]
    assert found["trace"]["has_ttls"] is True


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--policy", "lru2"], "lru2"),
        (["--size", "5XB"], "5XB"),
        (["--size", "0"], "more than nothing"),
        (["--size", "5MB", "--entries", "5"], "got both"),
        (["--ttl", "soon"], "soon"),
    ],
)
def test_wrong_words_are_refused(run, trace, words, reason):
    """With status 2, the reason, and no traceback."""
    result = run(trace, *words)
    assert result.exit_code == 2
    assert reason in result.output
    assert "Traceback" not in result.output


def test_a_trace_that_is_missing_or_wrong_is_no_crash(run, tmp_path):
    """The message names the file."""
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n", encoding="utf-8")
    for path in ("none.csv", "wrong.csv"):
        result = run(path)
        assert result.exit_code == 2
        assert path in result.output.replace("\n", "")


@pytest.fixture
def keys(tmp_path):
    """A trace of keys, sizes and ttls: no times, no costs."""
    path = tmp_path / "keys.csv"
    path.write_text("".join(f"k{number % 30},100,60\n" for number in range(300)), encoding="utf-8")
    return str(path)


def test_a_ttl_without_times_takes_one_request_a_second_and_says_so(run, keys):
    """`--rate` says otherwise, and then nothing is guessed."""
    words = [keys, "--policy", "lru", "--size", "1MB,10MB", "--ttl", "15s", "--no-chart"]
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert "one request a second is assumed" in result.output
    assert "0.00%" in result.output
    result = run(*words, "--rate", "100")
    assert "assumed" not in result.output
    assert "90.00%" in result.output


def test_it_says_what_the_saved_cost_is_where_no_costs_are_told(run, keys):
    """With loads that all cost the same, it is the hit ratio."""
    result = run(keys, "--policy", "lru", "--size", "1MB", "--no-chart")
    assert "no costs of loading" in result.output


def test_plain_sizes_are_entries_where_the_trace_tells_no_sizes(run, tmp_path):
    """Bytes would mean nothing there: with a unit, they are refused, and the message says what to say."""
    path = tmp_path / "bare.csv"
    path.write_text("".join(f"k{number % 30}\n" for number in range(300)), encoding="utf-8")
    result = run(str(path), "--policy", "lru", "--size", "10,30", "--no-chart")
    assert result.exit_code == 0, result.output
    assert "30 entries" in result.output
    result = run(str(path), "--policy", "lru", "--size", "1MB", "--no-chart")
    assert result.exit_code == 2
    assert "--entries" in result.output


def test_policies_may_be_named_one_by_one_and_in_capitals(run, keys):
    """None of them is passed over."""
    result = run(
        keys, "--policy", "LRU,fifo", "--policy", "Sieve", "--size", "1kB", "--size", "2kB", "--no-chart"
    )
    assert result.exit_code == 0, result.output
    assert all(word in result.output for word in ("lru", "fifo", "sieve", "1kB", "2kB"))
