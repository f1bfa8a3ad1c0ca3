"""The table of the budgets: what passes, what misses, and what was not measured."""

import json

import pytest

from benchmarks import budgets
from benchmarks.__main__ import BENCHMARKS, main
from benchmarks.verdicts import Budget, judge, judge_ratios

TIMES = {"ours": 20.0, "theirs": 10.0}


def test_ratios_are_judged_by_their_direction():
    """A figure at its bound keeps it; one that was not measured neither keeps nor misses it."""
    found = judge_ratios(
        TIMES,
        [
            Budget("a", "ours", "theirs", "at most", 2.0),
            Budget("a", "ours", "theirs", "at most", 1.9),
            Budget("a", "theirs", "ours", "at least", 0.5),
            Budget("a", "theirs", "ours", "at least", 0.6),
            Budget("a", "ours", "nobody", "at most", 1.0),
        ],
    )
    assert [verdict["kept"] for verdict in found] == [True, False, True, False, None]
    assert found[0]["found"] == 2.0


def test_stampede_and_coherence_are_judged_by_our_figures():
    """The loader runs, the last waiter, and the slowest of a hundred invalidations."""
    ours = {"most loads in a round": 1, "waits ms": {"p50": 3.0, "max": 21.0}}
    figures = {"contenders": {"greencache": ours}, "settings": {"processes": 8, "threads": 8}}
    assert [each["kept"] for each in budgets.verdicts_of("stampede", figures)] == [True, True, False]
    ways = {"key, pausing": {"gone after ms": {"p99": 9.0}}, "tag, pausing": {"not measured": "why"}}
    figures = {"contenders": {"greencache": ways}}
    assert [each["kept"] for each in budgets.verdicts_of("coherence", figures)] == [True, None]


def test_hit_ratios_are_judged_on_all_traces_and_sizes():
    """By the worst of them, and by how many are the best."""
    ratios = {100: {"default": 0.5, "lru": 0.49, "lfu": 0.1}, 200: {"default": 0.6, "lru": 0.62, "lfu": 0.1}}
    found = budgets.verdicts_of("hit_ratios", {"traces": {"t": {"hit_ratios": ratios}}})
    assert [(each["found"], each["kept"]) for each in found] == [(-2.0, False), (0.5, True)]
    assert all(each["kept"] is None for each in budgets.verdicts_of("hit_ratios", {"traces": {}}))


def test_the_table_is_printed_and_drawn(tmp_path, capsys):
    """Every row, with what it may be; as PNG and as SVG."""
    verdicts = [judge("path", "what", found, "at most", 1.0) for found in (0.5, 2.0, None)]
    budgets.show(verdicts)
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[-1] for row in rows[2:5]] == ["pass", "MISS", "measured"]
    assert [path.name for path in budgets.draw(verdicts, tmp_path)] == [
        "benchmark-budgets.png",
        "benchmark-budgets.svg",
    ]
    assert all(path.stat().st_size > 0 for path in tmp_path.iterdir())


class Failing:
    """A benchmark whose server is not there."""

    @staticmethod
    def run(_):
        """Fail."""
        raise OSError("no server")


def test_a_benchmark_that_fails_leaves_the_others_their_lines(tmp_path, capsys, monkeypatch):
    """The table is printed; the name of the one that failed, and a status that says so, come last."""
    monkeypatch.setitem(BENCHMARKS, "hits", Failing)
    with pytest.raises(SystemExit, match="FAILED, and not in the table: hits"):
        main(["hits", "round_trips", "--output", str(tmp_path)])
    printed = capsys.readouterr()
    assert "2 budgets, 0 missed" in printed.out
    assert "no server" in printed.err


def test_what_has_no_budget_adds_no_line():
    """Such as the table of others."""
    assert budgets.verdicts_of("peers", {"peers": {}}) == []


def test_a_run_ends_with_the_table_of_what_it_has_measured(tmp_path, capsys):
    """Kept as JSON too, with versions and machine."""
    main(["round_trips", "--output", str(tmp_path)])
    kept = json.loads((tmp_path / "benchmark-budgets.json").read_text())
    assert [verdict["kept"] for verdict in kept["budgets"]] == [True, True]
    assert kept["machine"]["versions"]["redis"]
    assert "2 budgets, 0 missed" in capsys.readouterr().out
