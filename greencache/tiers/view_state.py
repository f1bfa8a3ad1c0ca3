"""How a materialized view is doing, for the health check."""

import dataclasses
from typing import Final

from greencache.tiers.view_spec import ViewSpec
from greencache.typing import Seconds

__all__ = ["ViewState", "complaint"]

_MOST_DEAD: Final = 10_000
"""Dead rows that are no reason to complain, however few others there are."""


@dataclasses.dataclass(frozen=True, slots=True)
class ViewState:
    """How a view is doing.

    Args:
        problem: Why it is not read; empty if it is.
        age: Seconds of which its contents are old at most; `None` if that is not known.
        dropped: Keys and patterns that it does not answer until the next refresh.
        seconds: How long the last refresh took.
        changed: How many keys that refresh has changed; `None` if that is not known.
        failures: Attempts to refresh it that have failed since one that did not.
        error: Why the last one failed.
        rows: Rows that it has, roughly.
        dead: Replaced rows that no vacuum has removed yet, roughly.
        size: Bytes on disk.
    """

    problem: str = ""
    age: Seconds | None = None
    dropped: int = 0
    seconds: Seconds | None = None
    changed: int | None = None
    failures: int = 0
    error: str = ""
    rows: int = 0
    dead: int = 0
    size: int = 0


def complaint(spec: ViewSpec, state: ViewState, oldest: Seconds | None) -> str:
    """Return what is not as it should be with a view that can be read; empty if nothing.

    Args:
        spec: What it answers.
        state: What was found out.
        oldest: Seconds since the oldest transaction began that keeps replaced rows from being removed.
    """
    if state.failures:
        return f"{spec.name} could not be refreshed, {state.failures} times now: {state.error}"
    if state.dead > _MOST_DEAD + 2 * state.rows:
        since = "" if oldest is None else f"; the oldest one is {oldest:.0f} s old"
        return (
            f"expected {spec.name} to be vacuumed, got {state.dead} dead rows beside {state.rows}: let"
            f" autovacuum run, and end transactions that stay open{since}"
        )
    limit, age = spec.max_age, state.age
    if limit is None or (age is not None and age < limit):
        return ""
    known = (
        "never refreshed through greencache, or made of what was not" if age is None else f"{age:.0f} s old"
    )
    return f"expected {spec.name} to be at most {limit:g} s old, got it {known}: refresh it"
