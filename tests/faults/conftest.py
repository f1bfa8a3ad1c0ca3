"""Figures of the fault tests: printed, and kept as JSON."""

import json
import os
import pathlib

import pytest


@pytest.fixture
def keep_figures(request, capsys):
    """Return a function that prints figures under a name and keeps them as JSON.

    The folder is what GREENCACHE_TEST_OUTPUT names, else `.test-output` beside the project's configuration.
    """
    named = os.environ.get("GREENCACHE_TEST_OUTPUT")
    folder = pathlib.Path(named) if named else request.config.rootpath / ".test-output"

    def keep(name, figures):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps(figures, indent=2) + "\n")
        with capsys.disabled():
            print(f"\n{name}: " + ", ".join(f"{key} {value}" for key, value in figures.items()))  # noqa: T201

    return keep


@pytest.fixture
def is_long():
    """Whether this run has the time that the full figures take."""
    return os.environ.get("GREENCACHE_TEST_LONG", "") not in ("", "0")
