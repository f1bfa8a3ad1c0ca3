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
        "upper bound",
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
