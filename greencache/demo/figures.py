"""The emission factors that come with the demo, and the keys under which they are cached."""

import csv
import dataclasses
import importlib.resources
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Final

from greencache.keys import Template
from greencache.typing import Key

__all__ = ["FACTOR_KEY", "INTENSITY_KEY", "REFERENCE_SOURCE", "SOURCES", "Factor", "read_factors"]

FACTOR_KEY: Final = Template("factor:{source}:{category}:{item}:{region}:{year}:{metric}:{unit}:{ordinal}")
"""The key of one published figure. The ordinal counts figures that agree in everything else."""

INTENSITY_KEY: Final = Template("intensity:{source}:{region}")
"""The key of a grid's carbon intensity in g/kWh: a source's latest figure for a region."""

REFERENCE_SOURCE: Final = "codecarbon-3.3.2"
"""The one source that knows every region where electricity is generated; it stands in for the others."""

SOURCES: Final = (REFERENCE_SOURCE, "carbontracker-2.4.7", "eco2ai-0.3.12", "ecologits-0.11.3")
"""The sources of grid intensities; they disagree, so each row of the ledger says which one it follows."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One published figure.

    Args:
        source: Package and version it was taken from.
        category: What kind of figure it is.
        item: The fuel, material, vehicle or gas.
        region: ISO 3166-1 alpha-3 code, with `/` and a part of the country where there is one.
        year: As published: empty, one year, a span such as `1973-1974`, or `≤1980`.
        metric: What was measured.
        unit: Its unit.
        ordinal: 1, or more for a figure whose other fields repeat an earlier figure's.
        value: The figure, digit by digit.
    """

    source: str
    category: str
    item: str
    region: str
    year: str
    metric: str
    unit: str
    ordinal: int
    value: Decimal

    @property
    def key(self) -> Key:
        """The key that names this figure and no other."""
        return FACTOR_KEY.format_map({name: getattr(self, name) for name in FACTOR_KEY.fields})


def read_factors() -> tuple[Factor, ...]:
    """Return all figures, in the order of the file."""
    path = importlib.resources.files("greencache.demo") / "figures" / "factors.csv"
    # UTF-8 by name: the platform's locale may not change a region's name.
    text = path.read_bytes().decode("utf-8")
    return tuple(_numbered(csv.DictReader(io.StringIO(text, newline=""))))


def _numbered(rows: Iterable[dict[str, str]]) -> Iterator[Factor]:
    seen: Counter[tuple[str, ...]] = Counter()
    for row in rows:
        value = Decimal(row.pop("value"))
        identity = tuple(row.values())
        seen[identity] += 1
        yield Factor(**row, ordinal=seen[identity], value=value)
