"""Where the figures of explorations go."""

import json
import os
import re
from pathlib import Path

import pytest

from .explorer import Explorer
from .instruments import INSTRUMENTS


@pytest.fixture(scope="session")
def output(request):
    """The folder that figures are kept in."""
    folder = (
        Path(os.environ.get("GREENCACHE_TEST_OUTPUT", request.config.rootpath / ".test-output")) / "protocol"
    )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def explore(output, request):
    """Return what exploring a scenario has found, print it, and keep it."""

    def explore(scenario, **options):
        with INSTRUMENTS.installed():
            report = Explorer(scenario.begin, **options).explore()
        figures = report.figures()
        name = re.sub(r"\W+", "-", request.node.name).strip("-")
        (output / f"{name}.json").write_text(
            json.dumps({"test": request.node.name, **figures}, indent=2) + "\n"
        )
        shown = " ".join(
            f"{each}={figures[each]}" for each in ("states", "schedules", "executions", "longest")
        )
        print(f"{request.node.name}: {shown} in {report.seconds} s")  # noqa: T201 -- figures to read
        return report

    return explore
