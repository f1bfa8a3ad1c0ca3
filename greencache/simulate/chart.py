"""The curves: hits over sizes, one line a policy."""

import pathlib
from typing import TYPE_CHECKING, Any, Final

from greencache.simulate.advice import Advice
from greencache.simulate.outcome import Outcome, Simulation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_curves"]

# Okabe and Ito's palette, told apart by everybody (https://jfly.uni-koeln.de/color/).
_COLOURS: Final = ("#009E73", "#0072B2", "#56B4E9", "#D55E00", "#E69F00", "#CC79A7", "#999999", "#F0E442")


def draw_curves(simulation: Simulation, advice: Advice, folder: pathlib.Path) -> list[pathlib.Path]:
    """Draw the curves, as PNG and as SVG.

    Args:
        simulation: What came out.
        advice: The size to mark.
        folder: Where to; made if it is not there.

    Returns:
        The files written.
    """
    # The figure is made without pyplot, which would choose a window system and keep the figure alive.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 5) if simulation.by_bytes else (8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 2 if simulation.by_bytes else 1, squeeze=False)[0]
    for ax, measure in zip(axes, ("hit_ratio", "byte_hit_ratio"), strict=False):
        _draw(ax, simulation, measure)
        ax.axvline(advice.outcome.size, color="black", linewidth=0.8, alpha=0.5)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=8, frameon=False)
    figure.suptitle(f"{simulation.trace.requests:,} requests for {simulation.trace.unique:,} keys")
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "greencache-simulate.png", folder / "greencache-simulate.svg"]
    for path in paths:
        figure.savefig(path, dpi=144)
    return paths


def _draw(axes: "Axes", simulation: Simulation, measure: str) -> None:
    from matplotlib.ticker import EngFormatter

    name = "optimum" if simulation.is_exact else "optimum, at most"
    _draw_line(axes, simulation.optimum, measure, label=name, color="black", linestyle="--")
    for number, policy in enumerate(simulation.policies):
        colour = _COLOURS[number % len(_COLOURS)]
        _draw_line(axes, simulation.curve(policy), measure, label=policy, color=colour, marker="o")
    axes.set(xscale="log", ylim=(0, 100))
    axes.set_xlabel("size of the cache" if simulation.by_bytes else "entries of the cache")
    axes.xaxis.set_major_formatter(EngFormatter(unit="B" if simulation.by_bytes else ""))
    axes.set_ylabel(f"{measure.replace('_', ' ')}, %")
    axes.grid(alpha=0.3)


def _draw_line(axes: "Axes", curve: tuple[Outcome, ...] | list[Outcome], measure: str, **style: Any) -> None:
    percents = [100 * getattr(outcome, measure) for outcome in curve]
    axes.plot([outcome.size for outcome in curve], percents, markersize=3, linewidth=1.2, **style)
