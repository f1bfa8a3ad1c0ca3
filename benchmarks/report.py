"""How figures are written: as tables for people, as JSON with what they were measured on."""

import importlib.metadata
import json
import math
import os
import pathlib
import platform
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from greencache.typing import Seconds

__all__ = ["default_folder", "keep", "milliseconds", "percentiles", "print_table", "print_times"]

_LIBRARIES: Final = (
    "greencache", "cachetools", "cachebox", "theine", "dogpile.cache", "Django", "django-redis", "cachelib",
    "diskcache", "cachka", "aiocache", "cashews", "gevent", "redis", "hiredis", "msgspec",
)  # fmt: skip


def default_folder() -> pathlib.Path:
    """Return where figures are kept: what GREENCACHE_TEST_OUTPUT names, else `.test-output` here."""
    return pathlib.Path(os.environ.get("GREENCACHE_TEST_OUTPUT") or ".test-output")


def keep(folder: pathlib.Path, name: str, figures: Mapping[str, Any]) -> pathlib.Path:
    """Write the figures of a benchmark, and what they were measured on, as JSON.

    Args:
        folder: Is made if it is missing.
        name: Of the benchmark.
        figures: What it has found.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"benchmark-{name}.json"
    path.write_text(json.dumps({"benchmark": name, "machine": _machine(), **figures}, indent=2) + "\n")
    return path


def _machine() -> dict[str, Any]:
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "versions": {name: _version(name) for name in _LIBRARIES},
    }


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def milliseconds(seconds: Seconds) -> float:
    """Return a time in milliseconds, to the microsecond."""
    return round(1000 * seconds, 3)


def percentiles(times: Iterable[Seconds]) -> dict[str, float] | None:
    """Return the median, the 99th percentile and the maximum in milliseconds; `None` of nothing.

    A percentile is the nearest rank: a time that was measured, never one in between.
    """
    ordered = sorted(times)
    if not ordered:
        return None
    ranks = {"p50": math.ceil(0.5 * len(ordered)), "p99": math.ceil(0.99 * len(ordered)), "max": len(ordered)}
    return {name: milliseconds(ordered[rank - 1]) for name, rank in ranks.items()}


def print_table(
    title: str, header: Sequence[str], rows: Iterable[tuple[str, Sequence[object] | str]]
) -> None:
    """Print rows of figures under a header, and what stands in for figures as it is.

    Args:
        title: What was measured, how often, on what.
        header: The name of the first column, then those of the figures.
        rows: The name of each, and its figures or why there are none.
    """
    first, *others = header
    print(f"\n{title}\n{first:40}" + "".join(f"{name:>12}" for name in others))
    for name, figures in rows:
        text = figures if isinstance(figures, str) else "".join(_cell(figure) for figure in figures)
        print(f"{name:40}" + (f"  {text}" if isinstance(figures, str) else text))


def print_times(title: str, nanoseconds: Mapping[str, float]) -> None:
    """Print what a call of each takes, the quickest first."""
    rows = sorted(nanoseconds.items(), key=lambda item: item[1])
    print_table(title, ("", "ns per call"), [(name, [round(time)]) for name, time in rows])


def _cell(figure: object) -> str:
    if figure is None:
        return f"{'-':>12}"
    return f"{figure:>12,.2f}" if isinstance(figure, float) else f"{figure:>12,}"
