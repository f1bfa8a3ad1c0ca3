"""Where the figures of explorations go."""

import json
import os
from pathlib import Path

import pytest


@pytest.fixture
def record(request):
    """Return a function that prints and keeps a report."""
    root = os.environ.get("GREENCACHE_TEST_OUTPUT", request.config.rootpath / ".test-output")
    folder = Path(root) / "schedules"
    folder.mkdir(parents=True, exist_ok=True)

    def record(name, report):
        figures = report.figures()
        (folder / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n")
        by = f"{report.systematic} systematic and {report.drawn} drawn schedules in {report.seconds} s"
        print(f"{name}: {by}{', found: ' + report.violation if report.violation else ''}")  # noqa: T201 -- figures

    return record
