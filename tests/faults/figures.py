"""Figures of the catalogue of faults: noted by tests, printed as one table, kept as one JSON file.

A test takes the fixture `figure` and notes what it has measured. A figure with a bound is a promise: noted
first, then checked. Figures travel with the reports of pytest, so those of all workers of pytest-xdist end
up in one table and one file: `figures.json`, in the folder that GREENCACHE_TEST_OUTPUT names, else in
`.test-output` beside the project's configuration.
"""

import json
import operator
import os
import pathlib
import platform

import pytest

from tests.faults.scenarios import NOT_MEASURED, SCENARIOS

__all__ = ["IS_LONG", "figure", "is_long", "only_in_a_long_run", "pytest_terminal_summary"]

_PROPERTY = "figure"
_BOUNDS = {"==": operator.eq, "<=": operator.le, ">=": operator.ge}


@pytest.fixture
def figure(request):
    """Return a function that notes a figure, and fails the test if it is out of its bound.

    Its arguments: the scenario, as of `SCENARIOS`; the figure's name; the value; its unit; its bound, such
    as "== 0" or "<= 2.5"; and by name what else is worth keeping, which goes into the file and not into the
    table.
    """

    def note(scenario, name, value, unit="", bound="", **detail):
        is_kept = _is_within(value, bound)
        noted = {
            "scenario": str(scenario),
            "title": SCENARIOS[str(scenario)],
            "name": name,
            "value": round(value, 3) if isinstance(value, float) else value,
            "unit": unit,
            "bound": bound,
            "is_kept": is_kept,
            "detail": detail,
        }
        request.node.user_properties.append((_PROPERTY, noted))
        assert is_kept, f"scenario {scenario}: expected {name} {bound} {unit}, got {value}; {detail}"

    return note


IS_LONG = os.environ.get("GREENCACHE_TEST_LONG", "") not in ("", "0")
"""Whether this run has the time that the full figures take."""


only_in_a_long_run = pytest.mark.skipif(not IS_LONG, reason="takes long; GREENCACHE_TEST_LONG=1 runs it")


@pytest.fixture
def is_long():
    """Whether this run has the time that the full figures take."""
    return IS_LONG


def _is_within(value, bound):
    if not bound:
        return True
    sign, limit = bound.split()
    return bool(_BOUNDS[sign](value, float(limit)))


def pytest_terminal_summary(terminalreporter, config):
    """Print the table and write the file, where any figure was noted."""
    reports = [each for group in terminalreporter.stats.values() for each in group]
    figures = [
        noted
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, noted in report.user_properties
        if name == _PROPERTY
    ]
    if not figures:
        return
    figures.sort(key=_order)
    terminalreporter.section("figures of the catalogue of faults")
    for line in _lines(figures):
        terminalreporter.write_line(line)
    terminalreporter.write_line(f"kept in {_keep(figures, config.rootpath)}")


def _order(noted):
    scenarios = list(SCENARIOS)
    return scenarios.index(noted["scenario"]), noted["name"]


def _lines(figures):
    """Yield the table: one line a figure, and one a scenario that is not measured here."""
    measured = {noted["scenario"] for noted in figures}
    rows = [("#", "scenario", "figure", "value", "bound", "")]
    for scenario, title in SCENARIOS.items():
        rows += [_row(noted) for noted in figures if noted["scenario"] == scenario]
        if scenario in NOT_MEASURED and scenario not in measured:
            rows.append((scenario, title, NOT_MEASURED[scenario], "", "", ""))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        yield "  ".join(text.ljust(width) for text, width in zip(row, [*widths, 0], strict=True)).rstrip()


def _row(noted):
    verdict = ("ok" if noted["is_kept"] else "BROKEN") if noted["bound"] else ""
    value = f"{noted['value']:,}" if isinstance(noted["value"], int) else str(noted["value"])
    value = f"{value} {noted['unit']}".rstrip()
    return noted["scenario"], noted["title"], noted["name"], value, noted["bound"], verdict


def _keep(figures, root):
    named = os.environ.get("GREENCACHE_TEST_OUTPUT")
    folder = pathlib.Path(named) if named else root / ".test-output"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "figures.json"
    machine = {"python": platform.python_version(), "platform": platform.platform(), "cpus": os.cpu_count()}
    kept = {"machine": machine, "figures": figures, "not_measured": NOT_MEASURED}
    file.write_text(json.dumps(kept, indent=2) + "\n")
    return file
