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


@pytest.fixture
def config(redis_url, tmp_path):
    """The file of a cache over a Redis that holds one key."""
    path = tmp_path / "cache.yaml"
    text = f"namespace: shop\nl3:\n  url: {redis_url}\nprofiles:\n  other:\n    namespace: other\n"
    path.write_text(text, encoding="utf-8")
    with greencache.CacheManager.from_config(path) as cache:
        cache.set("user:1", {"name": "Ada"}, tags=["users"])
    return str(path)


def test_explain_tells_where_a_key_is(run, config):
    """As a report, with status 0 since a read would be answered."""
    result = run("explain", "user:1", "--config", config)
    assert result.exit_code == 0, result.output
    assert result.output.startswith("user:1   namespace shop")
    assert "A read now would be answered by L3." in result.output
    assert "current: the namespace, tag users" in result.output
    assert "Ada" not in result.output


def test_explain_prints_json_for_programs(run, config):
    """With the same contents."""
    result = run("explain", "user:1", "--config", config, "--json")
    assert result.exit_code == 0, result.output
    explanation = json.loads(result.output)
    assert explanation["answered_by"] == "L3"
    assert explanation["tiers"][1]["entry"]["freshness"] == "fresh"


def test_explain_leaves_with_1_when_a_read_would_miss(run, config):
    """In another namespace, that of the profile, there is no such key."""
    result = run("explain", "user:1", "--config", config, "--profile", "other")
    assert result.exit_code == 1
    assert "A read now would be a miss." in result.output


def test_explain_of_a_server_out_of_reach_is_no_error(run, tmp_path, redis_servers):
    """That it is out of reach is what is to be told."""
    server = redis_servers()
    path = tmp_path / "cache.yaml"
    path.write_text(f"namespace: shop\nl3:\n  url: {server.url}\n", encoding="utf-8")
    server.kill()
    result = run("explain", "user:1", "--config", str(path))
    assert result.exit_code == 1
    assert "out of reach: " in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(("key", "name"), [("", "cache.yaml"), ("user:1", "none.yaml")])
def test_explain_leaves_with_2_when_it_could_not_look(run, config, key, name):
    """A key that cannot be one, or no such file: the reason, and no traceback."""
    result = run("explain", key, "--config", config.replace("cache.yaml", name))
    assert result.exit_code == 2
    assert name in result.output
    assert "Traceback" not in result.output
