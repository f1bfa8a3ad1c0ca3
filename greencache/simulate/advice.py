"""Which size is worth its memory."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Final

from greencache.simulate.outcome import Outcome

__all__ = ["LEAST_GAIN", "Advice", "advise"]

LEAST_GAIN: Final = 0.01
"""What a doubling of the memory must gain to be worth it: one request in a hundred."""


@dataclasses.dataclass(frozen=True, slots=True)
class Advice:
    """The size that is worth its memory.

    Args:
        outcome: How the policy does with it.
        is_largest: Whether no larger one was tried, which might be worth it, too.
        measure: What was looked at: "hit ratio" or "cost saved".
    """

    outcome: Outcome
    is_largest: bool
    measure: str

    def __str__(self) -> str:
        found = f"{_gain(self.outcome):.1%} {self.measure}"
        if self.is_largest:
            return f"the largest size tried ({found}): larger ones may be worth their memory, too"
        return f"{found}; beyond it, doubling the memory gains less than {LEAST_GAIN:.0%}"


def advise(curve: Sequence[Outcome]) -> Advice:
    """Return the largest size up to which each doubling of memory gains a point or more.

    What counts is the cost saved where costs are known, else the hit ratio. Between sizes, gains are taken
    along the upper hull of the curve, so that a plateau before a step does not end the search.

    Args:
        curve: One policy's outcomes, sizes ascending; at least one.
    """
    hull = [curve[0]]
    for outcome in curve[1:]:
        while len(hull) > 1 and _slope(hull[-2], outcome) >= _slope(hull[-2], hull[-1]):
            hull.pop()
        hull.append(outcome)
    best = hull[0]
    for outcome in hull[1:]:
        if _slope(best, outcome) < LEAST_GAIN:
            break
        best = outcome
    measure = "hit ratio" if best.cost_saved is None else "cost saved"
    return Advice(best, is_largest=best is curve[-1], measure=measure)


def _gain(outcome: Outcome) -> float:
    return outcome.hit_ratio if outcome.cost_saved is None else outcome.cost_saved


def _slope(smaller: Outcome, larger: Outcome) -> float:
    """Return what a doubling gains between two sizes."""
    return (_gain(larger) - _gain(smaller)) / math.log2(larger.size / smaller.size)
