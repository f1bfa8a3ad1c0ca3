"""The chart."""

import pytest

from greencache.demo.chart import draw_chart, rates
from greencache.demo.outcome import Outcome


def test_the_chart_is_written_twice(outcome, tmp_path):
    """As PNG and as SVG, in a folder that is made for it."""
    png, svg = draw_chart(outcome, tmp_path / "new" / "folder")
    assert png.read_bytes().startswith(b"\x89PNG")
    text = svg.read_text(encoding="utf-8")
    assert "<svg" in text
    assert "L3 killed" in text


def test_an_empty_outcome_can_be_drawn(tmp_path):
    """Nothing measured is no reason to fail."""
    assert all(path.exists() for path in draw_chart(Outcome(), tmp_path))


def test_drawing_leaves_the_program_s_own_figures_alone(outcome, tmp_path):
    """Pyplot keeps figures alive and chooses a window system; it is not involved."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    before = pyplot.get_fignums()
    draw_chart(outcome, tmp_path)
    assert pyplot.get_fignums() == before


def test_rates_add_up_to_the_rows(outcome):
    """Rows per second times seconds is rows, in intervals of half a second."""
    starts, per_second = rates(outcome.progress)
    assert starts[:3] == [0.0, 0.5, 1.0]
    assert per_second[:3] == [100.0, 100.0, 200.0]
    assert sum(per_second) * 0.5 == 200
