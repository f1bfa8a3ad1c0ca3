"""Budgets, and whether what was measured keeps them."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

__all__ = ["Budget", "judge", "judge_ratios"]


class Budget(NamedTuple):
    """A bound on how one figure compares with another.

    Args:
        path: What is bounded.
        measured: The figure that is divided; a time where less is better.
        against: The figure that it is divided by.
        direction: What the ratio must be.
        bound: The ratio.
    """

    path: str
    measured: str
    against: str
    direction: Literal["at most", "at least"]
    bound: float


def judge(path: str, what: str, found: float | None, direction: str, bound: float) -> dict[str, Any]:
    """Return the verdict on one figure; neither kept nor missed where it was not measured."""
    verdict: dict[str, Any] = {"path": path, "what": what, "budget": f"{direction} {bound:g}", "bound": bound}
    if found is None:
        return verdict | {"found": None, "kept": None}
    return verdict | {
        "found": round(found, 3),
        "kept": found <= bound if direction == "at most" else found >= bound,
    }


def judge_ratios(times: Mapping[str, float], budgets: Iterable[Budget]) -> list[dict[str, Any]]:
    """Return the verdicts on ratios of two times."""
    verdicts = []
    for budget in budgets:
        is_known = budget.measured in times and budget.against in times
        ratio = times[budget.measured] / times[budget.against] if is_known else None
        what = f"{budget.measured} / {budget.against}"
        verdicts.append(judge(budget.path, what, ratio, budget.direction, budget.bound))
    return verdicts
