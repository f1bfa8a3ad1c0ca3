"""The tables."""

import io

from rich.console import Console

from greencache.demo.outcome import Outcome
from greencache.demo.report import print_report


def shown(outcome):
    """Return the report as plain text."""
    out = io.StringIO()
    print_report(outcome, Console(file=out, width=140))
    return out.getvalue()


def test_each_tier_is_shown_with_what_was_measured(outcome):
    """Hits, hit rate, time and entries of a tier stand in one line."""
    [line] = [line for line in shown(outcome).splitlines() if line.strip().startswith("L2 ")]
    assert line.split()[-5:] == ["10", "100.0%", "100.0", "µs", "800"]


def test_each_pass_is_shown_with_its_speed(outcome):
    """Rows per second is rows by seconds, nothing else."""
    [line] = [line for line in shown(outcome).splitlines() if line.strip().startswith("cold")]
    assert line.split() == ["cold", "100", "200", "90", "10", "2", "0"]


def test_emissions_are_shown_with_and_without_the_cache(outcome):
    """Both totals, so that everybody sees that they are equal."""
    text = shown(outcome)
    assert "with the cache" in text
    assert "without the cache" in text
    assert text.count("500.0") == 3


def test_checks_and_notes_are_shown(outcome):
    """What held, what did not, and what could not be shown."""
    text = shown(outcome)
    assert "✓ sums agree" in text
    assert "✗ nobody fails" in text
    assert "Note: Something could not be shown." in text
    assert "1 of 2 checks held" in text


def test_an_empty_outcome_can_be_shown():
    """Nothing measured is no reason to fail."""
    assert "0 of 0 checks held" in shown(Outcome())
