"""The chart beside the tables: who answered, how fast, and how the work went on."""

import pathlib
from typing import TYPE_CHECKING, Final

from greencache.demo.outcome import Outcome, Stage
from greencache.typing import CacheTier

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_chart", "rates"]

# Okabe and Ito's palette, told apart by everybody (https://jfly.uni-koeln.de/color/).
_COLOURS: Final = {
    CacheTier.L1: "#009E73",
    CacheTier.L2: "#56B4E9",
    CacheTier.L3: "#0072B2",
    CacheTier.L4: "#E69F00",
}
_LOADER: Final = "#D55E00"
_GREY: Final = "#999999"


def draw_chart(outcome: Outcome, folder: pathlib.Path) -> list[pathlib.Path]:
    """Draw the chart, as PNG and as SVG.

    Args:
        outcome: What came out.
        folder: Where to; made if it is not there.

    Returns:
        The files written.
    """
    # The figure is made without pyplot, which would choose a window system and keep the figure alive.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 8), layout="constrained")
    FigureCanvasAgg(figure)
    answered, times, work = figure.subplot_mosaic([["answered", "times"], ["work", "work"]]).values()
    _draw_answered(answered, outcome)
    _draw_times(times, outcome)
    _draw_work(work, outcome)
    figure.suptitle(f"{outcome.ledger_rows:,} rows of the world's electricity, through four tiers")
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "greencache-demo.png", folder / "greencache-demo.svg"]
    for path in paths:
        figure.savefig(path, dpi=144)
    return paths


def _draw_answered(axes: "Axes", outcome: Outcome) -> None:
    """Draw which part of each pass's lookups each tier answered."""
    names = [stage.name for stage in outcome.stages]
    lookups = [max(1, _answers(stage)) for stage in outcome.stages]
    left = [0.0] * len(names)
    bars = [
        (tier.name, colour, [stage.stats.tiers[tier].hits for stage in outcome.stages])
        for tier, colour in _COLOURS.items()
        if all(tier in stage.stats.tiers for stage in outcome.stages)
    ]
    bars.append(("loader", _LOADER, [stage.stats.loads.loads for stage in outcome.stages]))
    for label, colour, hits in bars:
        widths = [100 * count / all_ for count, all_ in zip(hits, lookups, strict=True)]
        axes.barh(names, widths, left=left, color=colour, label=label)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.set(title="Who answered", xlabel="% of lookups", xlim=(0, 100))
    axes.legend(ncols=5, loc="upper center", bbox_to_anchor=(0.5, -0.15), frameon=False)


def _answers(stage: Stage) -> int:
    return sum(counts.hits for counts in stage.stats.tiers.values()) + stage.stats.loads.loads


def _draw_times(axes: "Axes", outcome: Outcome) -> None:
    """Draw the time per lookup, each bar ten times longer for a time ten times longer."""
    names = [name for name in ("L1", "L2", "L3", "L4", "direct") if outcome.lookup_seconds.get(name)]
    micros = [outcome.lookup_seconds[name] * 1e6 for name in names]
    colours = [_COLOURS[CacheTier[name]] if name != "direct" else _GREY for name in names]
    labels = ["PostgreSQL, directly" if name == "direct" else name for name in names]
    bars = axes.barh(labels, micros, color=colours)
    axes.bar_label(bars, labels=[f" {micro:,.1f} µs" for micro in micros])
    axes.invert_yaxis()
    axes.set(title="Time per lookup", xlabel="µs, logarithmic")
    if names:
        axes.set_xscale("log")
        axes.set_xlim(min(micros) / 3, max(micros) * 30)


def _draw_work(axes: "Axes", outcome: Outcome) -> None:
    """Draw rows per second over time, and what happened meanwhile."""
    seconds, per_second = rates(outcome.progress)
    axes.fill_between(seconds, per_second, step="post", color=_COLOURS[CacheTier.L2], alpha=0.6)
    axes.set(title="Rows per second, all workers", xlabel="seconds", ylabel="rows/s")
    axes.set_ylim(bottom=0)
    top = axes.get_ylim()[1]
    for number, moment in enumerate(outcome.moments):
        # Left and right of their lines in turn: two moments may be close together.
        side = "left" if number % 2 else "right"
        axes.axvline(moment.seconds, color=_LOADER, linewidth=1)
        axes.text(moment.seconds, top, f" {moment.name}", rotation=90, va="top", ha=side, fontsize=8)


def rates(progress: list[tuple[float, int]], width: float = 0.5) -> tuple[list[float], list[float]]:
    """Return the starts of intervals of equal width, and the rows per second in each."""
    if not progress:
        return [], []
    counts = [0] * (int(progress[-1][0] / width) + 2)
    for second, rows in progress:
        counts[int(second / width)] += rows
    return [width * number for number in range(len(counts))], [count / width for count in counts]
