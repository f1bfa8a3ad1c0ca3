"""The benchmark of hit ratios, on a trace made here."""

import argparse
import lzma

from benchmarks import hit_ratios
from greencache.policies import POLICIES


def options(*traces):
    """Return what the command line would say."""
    return argparse.Namespace(traces=list(traces))


def test_every_policy_and_the_optimum_are_in_the_table(tmp_path, monkeypatch, capsys):
    """For four sizes of each trace in the folder."""
    lines = "".join(f"k{number * number % 211}\n" for number in range(3000))
    (tmp_path / "small.txt.xz").write_bytes(lzma.compress(("# key\n" + lines).encode()))
    (tmp_path / "notes.md").write_text("not a trace", encoding="utf-8")
    monkeypatch.setenv("GREENCACHE_TRACES", str(tmp_path))
    figures = hit_ratios.run(options())
    assert list(figures["traces"]) == ["small"]
    ratios = figures["traces"]["small"]["hit_ratios"]
    assert list(ratios) == [1, 5, 10, 26]
    for found in ratios.values():
        assert set(POLICIES) < set(found)
        assert found["optimum"] == max(found.values())
    hit_ratios.show(figures)
    assert all(f"\n{name} " in capsys.readouterr().out for name in ["default"])


def test_without_traces_it_says_so(monkeypatch, capsys):
    """The project contains none."""
    monkeypatch.delenv("GREENCACHE_TRACES", raising=False)
    hit_ratios.show(hit_ratios.run(options()))
    assert "GREENCACHE_TRACES" in capsys.readouterr().out
