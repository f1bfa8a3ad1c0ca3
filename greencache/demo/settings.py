"""What the demo can be told."""

import dataclasses
import pathlib
from typing import Final

from greencache.errors import GreencacheError

__all__ = ["MIN_ROWS", "DemoError", "DemoSettings"]

MIN_ROWS: Final = 1_000


class DemoError(GreencacheError):
    """The demo could not run to its end."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DemoSettings:
    """What the demo can be told.

    Args:
        workers: Worker processes on each of the two hosts.
        rows: How many rows of the ledger to use, 1,000 or more, so that every tier has something to do;
            `None` for all.
        l1: Budget of each worker's memory, as text such as "96KB": small, so that eviction has work to do.
        sample: Rows for which PostgreSQL is asked one by one.
        output: Folder for the chart.
        draws_chart: Whether to draw the chart.

    Raises:
        DemoError: If one of them is out of its range.
    """

    workers: int = 2
    rows: int | None = None
    l1: str = "96KB"
    sample: int = 5_000
    output: pathlib.Path = pathlib.Path("demo-output")
    draws_chart: bool = True

    def __post_init__(self) -> None:
        for name, least in (("workers", 1), ("rows", MIN_ROWS), ("sample", 1)):
            number = getattr(self, name)
            if number is not None and number < least:
                raise DemoError(f"{name} must be {least} or more, got {number}")
