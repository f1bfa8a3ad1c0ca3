"""The structure of the package: order of imports, size of files, style, types."""

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
MODULES = sorted((ROOT / "greencache").rglob("*.py"))
FOLDERS = {"greencache", "tests", "benchmarks", "config", "docs"}
FILES = {"pyproject.toml", "tox.ini", "CHANGELOG.md", "README.md", "LICENSE"}
DOORS = {
    "redis": ("backends/redis", "testing/servers/redis"),
    "psycopg": ("backends/postgres", "testing/servers/postgres", "demo/"),
    "psycopg_pool": ("backends/postgres",),
    "pydantic": ("config/",),
    "yaml": ("config/",),
    "asyncio": ("aio/",),
    "tenacity": ("backends/retry.py",),
    "structlog": ("log.py",),
    "cachetools": ("policies/",),
    "cronsim": ("tiers/view_policy.py",),
    "msgspec": ("codecs/", "bus/stream.py"),
}


@pytest.mark.parametrize(
    "command",
    [
        ["lint-imports", "--no-cache"],
        ["ruff", "check", "--no-cache", "."],
        ["ruff", "format", "--no-cache", "--check", "."],
        ["mypy"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_checks_pass(command):
    """Import contracts, style, format and strict types."""
    program = pathlib.Path(sys.executable).parent / command[0]
    done = _run(program, *command[1:])
    assert done.returncode == 0, done.stdout + done.stderr


def _run(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)


def test_no_file_is_too_long():
    """A file is split before it passes 300 lines."""
    long = {str(path): count for path in MODULES if (count := len(path.read_text().splitlines())) > 300}
    assert not long


@pytest.mark.parametrize("library", DOORS)
def test_each_library_has_one_door(library):
    """Third-party names appear behind one door each."""
    pattern = re.compile(rf"^\s*(?:import|from) {library}\b", re.MULTILINE)
    using = [path for path in MODULES if pattern.search(path.read_text())]
    users = [str(path.relative_to(ROOT / "greencache")) for path in using]
    assert [user for user in users if not user.startswith(DOORS[library])] == []


def test_the_top_level_is_as_agreed():
    """Nothing but what users were promised, and dotfiles."""
    tracked = _run("git", "ls-files").stdout.split()
    if not tracked:
        pytest.skip("this is not a git checkout, so there is no list of files that belong to the project")
    assert {name.split("/")[0] for name in tracked if not name.startswith(".")} <= FOLDERS | FILES


def test_no_redis_command_stops_a_server():
    """No KEYS, no FLUSH: they freeze a server that others use too."""
    forbidden = re.compile(r"""["'](?:KEYS|FLUSHALL|FLUSHDB)["']""")
    inside = [path for path in MODULES if "testing" not in path.parts]
    assert [str(path) for path in inside if forbidden.search(path.read_text())] == []
