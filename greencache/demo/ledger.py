"""The ledger of activities: one row for each 0.1 TWh of electricity that was generated."""

import itertools
import random
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final, NamedTuple

from greencache.demo.figures import SOURCES, Factor

__all__ = ["ROW_KWH", "SUMS", "Activity", "build_ledger"]

ROW_KWH: Final = 100_000_000
"""Kilowatt hours of a full row: 0.1 TWh."""

SUMS: Final = frozenset({"total", "fossil", "renewables", "low_carbon", "other_renewable"})
"""Items of the generation figures that add up other items; counting them would count electricity twice."""

_KWH_PER_TWH: Final = 1_000_000_000
_SEED: Final = 2022


class Activity(NamedTuple):
    """Some electricity that was generated.

    Args:
        number: Its place in the ledger, from 0.
        region: Where.
        fuel: From what.
        source: The source whose factor applies to it.
        kwh: How much, in kilowatt hours.
    """

    number: int
    region: str
    fuel: str
    source: str
    kwh: int


def build_ledger(factors: Iterable[Factor]) -> list[Activity]:
    """Return the ledger, the same one each time.

    Regions and fuels occur as often as the world's generation has it; the sources take turns, so that each
    sees the same world; the order is shuffled, as if the rows had come in from everywhere at once.

    Args:
        factors: Figures, those of the category `generation` among them.
    """
    turns = itertools.cycle(SOURCES)
    rows = [
        (factor.region, factor.item, next(turns), kwh)
        for factor in factors
        if factor.category == "generation" and factor.item not in SUMS
        for kwh in _portions(factor.value)
    ]
    random.Random(_SEED).shuffle(rows)  # noqa: S311 -- reproducible, not secret
    return [Activity(number, *row) for number, row in enumerate(rows)]


def _portions(twh: Decimal) -> Iterator[int]:
    full, rest = divmod(int(twh * _KWH_PER_TWH), ROW_KWH)
    yield from itertools.repeat(ROW_KWH, full)
    if rest:
        yield rest
