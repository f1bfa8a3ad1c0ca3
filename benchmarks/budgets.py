"""The table of the budgets: what was measured beside what it may be, as text and as a picture."""

import pathlib
from collections.abc import Sequence
from typing import Any

from benchmarks.verdicts import judge

__all__ = ["draw", "show", "verdicts_of"]

_WORDS = {True: "pass", False: "MISS", None: "not measured"}
_COLOURS = {True: "#009E73", False: "#D55E00"}  # of Okabe and Ito


def verdicts_of(name: str, figures: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the verdicts on what a benchmark has found.

    Args:
        name: Of the benchmark.
        figures: What it has found.
    """
    if "budgets" in figures:
        return list(figures["budgets"])
    judges = {"stampede": _stampede, "coherence": _coherence, "hit_ratios": _hit_ratios}
    return judges[name](figures) if name in judges else []


def _stampede(figures: dict[str, Any]) -> list[dict[str, Any]]:
    ours, settings = figures["contenders"]["greencache"], figures["settings"]
    path = f"{settings['processes']} processes x {settings['threads']} threads, one cold key"
    waits = ours.get("waits ms") or {}
    return [
        judge(path, "runs of the loader", ours.get("most loads in a round"), "at most", 1),
        judge(path, "ms from the fill to the last waiter's return, p50", waits.get("p50"), "at most", 20),
        judge(path, "the same, the longest of all rounds", waits.get("max"), "at most", 20),
    ]


def _coherence(figures: dict[str, Any]) -> list[dict[str, Any]]:
    ours = figures["contenders"]["greencache"]
    return [
        judge(
            "invalidation seen by another process",
            f"ms until it is, p99, {way}",
            ours[way].get("gone after ms", {}).get("p99"),
            "at most",
            10,
        )
        for way in ("key, pausing", "tag, pausing")
    ]


def _hit_ratios(figures: dict[str, Any]) -> list[dict[str, Any]]:
    others = ("lru", "lfu", "cachebox LFU", "cachebox LRU", "theine")
    leads = [
        100 * (ratios["default"] - max(ratios[name] for name in others if name in ratios))
        for trace in figures["traces"].values()
        for ratios in trace["hit_ratios"].values()
    ]
    path = "hit ratio, real traces"
    worst = min(leads, default=None)
    best = sum(lead >= 0 for lead in leads) / len(leads) if leads else None
    return [
        judge(path, "points beside the best of lru, lfu, cachebox, theine", worst, "at least", -1),
        judge(path, "part of the sizes and traces where it is the best", best, "at least", 0.5),
    ]


def show(verdicts: Sequence[dict[str, Any]]) -> None:
    """Print the table."""
    print(f"\n{'budgets':40} {'what':58} {'found':>9}  {'budget':14}")
    for verdict in verdicts:
        found = "-" if verdict["found"] is None else f"{verdict['found']:,.2f}"
        word = _WORDS[verdict["kept"]]
        print(f"{verdict['path']:40} {verdict['what']:58} {found:>9}  {verdict['budget']:14} {word}")
    missed = sum(verdict["kept"] is False for verdict in verdicts)
    print(f"{len(verdicts)} budgets, {missed} missed; docs/performance.md says why")


def draw(verdicts: Sequence[dict[str, Any]], folder: pathlib.Path) -> list[pathlib.Path]:
    """Draw how near each figure is to its budget, as PNG and SVG; nothing where matplotlib is not installed.

    Returns:
        The files written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return []
    known = [each for each in verdicts if each["found"] and each["bound"] > 0]
    figure = Figure(figsize=(11, 0.4 * len(known) + 1.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for place, verdict in enumerate(reversed(known)):
        is_ceiling = verdict["budget"].startswith("at most")
        used = verdict["found"] / verdict["bound"] if is_ceiling else verdict["bound"] / verdict["found"]
        axes.barh(place, used, color=_COLOURS[verdict["kept"]])
        axes.annotate(f" {verdict['found']:g}, {verdict['budget']}", (used, place), va="center", fontsize=7)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(known)), [f"{v['path']}: {v['what']}" for v in reversed(known)], fontsize=7)
    axes.set(xscale="log", xlabel="part of the budget that is used; right of 1 it is missed")
    paths = [folder / "benchmark-budgets.png", folder / "benchmark-budgets.svg"]
    for path in paths:
        figure.savefig(path, dpi=144)
    return paths
