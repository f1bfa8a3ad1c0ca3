"""Figures reach one table and one file, from whatever worker they come."""

import json
import os
import subprocess
import sys

NOTED = """
def test_one(figure):
    figure(67, "takeover", 0.9, "s", "<= 2", all=[0.5, 0.9])

def test_other(figure):
    figure("P9", "gaps", 3)
    figure("P9", "stale reads", 1, bound="== 0")
"""


def test_figures_of_all_workers_are_shown_and_kept(tmp_path):
    """One that is out of its bound fails its test, and is kept all the same."""
    (tmp_path / "test_noted.py").write_text(NOTED)
    command = [sys.executable, "-m", "pytest", "-p", "tests.faults.figures", "-p", "xdist", "-n", "2"]
    # Nothing else is loaded, so that it starts quickly.
    environment = os.environ | {
        "GREENCACHE_TEST_OUTPUT": str(tmp_path),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    done = subprocess.run(
        [*command, "-q", "--rootdir", tmp_path, tmp_path / "test_noted.py"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "expected stale reads == 0" in done.stdout
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[-1] for line in lines if line[:1] == ["P9"]] == ["3", "BROKEN"]
    kept = json.loads((tmp_path / "figures.json").read_text())["figures"]
    assert [(each["scenario"], each["name"], each["is_kept"]) for each in kept] == [
        ("P9", "gaps", True),
        ("P9", "stale reads", False),
        ("67", "takeover", True),
    ]
    assert kept[-1]["detail"] == {"all": [0.5, 0.9]}
