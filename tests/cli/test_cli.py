"""The `greencache` command."""

import builtins
import json
import sys

import pytest
from typer.testing import CliRunner

import greencache
import greencache.cli
from greencache.cli.app import app
from greencache.demo import DemoError, Outcome


@pytest.fixture
def run():
    """Run the command with some words."""
    return lambda *words: CliRunner().invoke(app, list(words))


@pytest.fixture
def play(monkeypatch):
    """Replace the demo by something that returns or raises at once."""

    def replace(result):
        def run_demo(settings, display):
            with display.step("Working", settings.rows) as advance:
                advance(1)
            if isinstance(result, BaseException):
                raise result
            return result

        monkeypatch.setattr("greencache.cli.demo.run_demo", run_demo)

    return replace


def test_version_names_what_is_installed(run):
    """Enough for a bug report."""
    result = run("version")
    assert result.exit_code == 0
    assert f"greencache {greencache.__version__}" in result.output
    assert "psycopg " in result.output


def test_demo_leaves_with_0_when_every_check_held(run, play, tmp_path):
    """And writes what was measured, and the chart."""
    outcome = Outcome(ledger_rows=1)
    outcome.check("all is well", holds=True, found="yes")
    play(outcome)
    path = tmp_path / "out.json"
    result = run("demo", "--rows", "1000", "--json", str(path), "--output", str(tmp_path / "chart"))
    assert result.exit_code == 0, result.output
    assert json.loads(path.read_text(encoding="utf-8"))["checks"]["all is well"]["holds"] is True
    assert {file.suffix for file in (tmp_path / "chart").iterdir()} == {".png", ".svg"}


def test_demo_leaves_with_1_and_names_the_check_that_failed(run, play):
    """Whoever reads only the last line knows what was wrong."""
    outcome = Outcome()
    outcome.check("nobody reads old values", holds=False, found="3 stale reads")
    play(outcome)
    result = run("demo", "--no-chart")
    assert result.exit_code == 1
    assert result.output.rstrip().endswith("Failed: nobody reads old values: 3 stale reads")


def test_demo_leaves_with_2_when_it_could_not_run(run, play):
    """With the reason, not with a traceback."""
    play(DemoError("install greencache[embedded] first"))
    result = run("demo", "--no-chart")
    assert result.exit_code == 2
    assert "could not run: install greencache[embedded] first" in result.output
    assert "Traceback" not in result.output


def test_demo_leaves_with_130_when_interrupted(run, play):
    """As shells expect it of Ctrl-C."""
    play(KeyboardInterrupt())
    result = run("demo", "--no-chart")
    assert result.exit_code == 130


@pytest.mark.parametrize("words", [("--workers", "0"), ("--rows", "999"), ("--rows", "many")])
def test_demo_refuses_numbers_that_make_no_sense(run, words):
    """Before anything is started."""
    assert run("demo", *words).exit_code == 2


def test_config_check_accepts_a_valid_file(run, tmp_path):
    """And says which tiers it describes."""
    path = tmp_path / "cache.yaml"
    path.write_text("namespace: shop\nl2:\n  url: redis://localhost:6379/0\n", encoding="utf-8")
    result = run("config", "check", str(path))
    assert result.exit_code == 0, result.output
    assert "L1, L2" in result.output


def test_config_check_says_what_is_wrong(run, tmp_path):
    """With status 1, and no traceback."""
    path = tmp_path / "cache.yaml"
    path.write_text("namespace: shop\nl1:\n  sizze: 5MB\n", encoding="utf-8")
    result = run("config", "check", str(path))
    assert result.exit_code == 1
    assert "sizze" in result.output
    assert "Traceback" not in result.output


def test_config_check_of_a_missing_file_says_so(run, tmp_path):
    """A wrong path is no crash."""
    result = run("config", "check", str(tmp_path / "none.yaml"))
    assert result.exit_code == 1
    assert "none.yaml" in result.output


@pytest.mark.parametrize("library", ["typer", "rich"])
def test_without_its_libraries_the_command_names_the_extra(library, monkeypatch, capsys):
    """A fresh installation without extras gets an instruction, not a traceback."""
    importing = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == library:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return importing(name, *args, **kwargs)

    for name in [name for name in sys.modules if name.startswith("greencache.cli.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SystemExit) as left:
        greencache.cli.main()
    assert left.value.code == 2
    assert "pip install 'greencache[cli]'" in capsys.readouterr().err


def test_an_error_in_the_command_itself_is_not_taken_for_a_missing_library(monkeypatch):
    """Only the libraries of the extra are excused."""
    monkeypatch.setitem(sys.modules, "greencache.cli.app", None)
    with pytest.raises(ModuleNotFoundError, match=r"greencache\.cli\.app"):
        greencache.cli.main()
