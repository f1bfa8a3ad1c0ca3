"""The views of a cache in the order in which they are made."""

import dataclasses
import graphlib
from collections.abc import Iterable, Sequence
from typing import TypeVar

from greencache.errors import ConfigurationError
from greencache.tiers.view_policy import RefreshPolicy
from greencache.tiers.view_spec import ViewSpec

__all__ = ["ViewPlan", "plan_views"]

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ViewPlan:
    """How one view is made and kept, whatever number of specs read it.

    Args:
        name: As in the specs.
        query: What it is created with; `None` for a view of the user's.
        refresh: When it is refreshed by itself.
        after: Views that are refreshed before it.
        tables: Tables whose changes make it due.
        dependents: Views that its refresh makes due.
    """

    name: str
    query: str | None
    refresh: RefreshPolicy | None
    after: tuple[str, ...]
    tables: tuple[str, ...]
    dependents: tuple[str, ...]


def plan_views(specs: Sequence[ViewSpec]) -> tuple[ViewPlan, ...]:
    """Return each view once, after those that it is made of.

    Raises:
        ConfigurationError: If two specs of a view contradict each other, one is made of a view that is not
            described, or some are made of each other in a circle.
    """
    views: dict[str, list[ViewSpec]] = {}
    for spec in specs:
        views.setdefault(spec.name, []).append(spec)
    events = {name: tuple(policy.on) if (policy := _policy(group)) else () for name, group in views.items()}
    after = {
        name: tuple(dict.fromkeys([*_beneath(group), *(each for each in events[name] if each in views)]))
        for name, group in views.items()
    }
    return tuple(
        ViewPlan(
            name=name,
            query=_only(name, "query", (spec.query for spec in views[name])),
            refresh=_policy(views[name]),
            after=after[name],
            tables=tuple(each for each in events[name] if each not in views),
            dependents=tuple(other for other, on in events.items() if name in on),
        )
        for name in _sorted(after)
    )


def _sorted(after: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    for name, beneath in after.items():
        if unknown := set(beneath) - after.keys():
            raise ConfigurationError(
                f"expected after of {name} as views of this cache ({', '.join(after)}), got {sorted(unknown)}"
            )
    try:
        return tuple(graphlib.TopologicalSorter(after).static_order())
    except graphlib.CycleError as error:
        circle = " is made of ".join(reversed(error.args[1]))
        raise ConfigurationError(f"expected views without a circle, got one: {circle}") from None


def _beneath(group: Iterable[ViewSpec]) -> list[str]:
    return [name for spec in group for name in spec.after]


def _policy(group: Sequence[ViewSpec]) -> RefreshPolicy | None:
    return _only(group[0].name, "refresh", (spec.refresh for spec in group))


def _only(name: str, what: str, values: Iterable[T | None]) -> T | None:
    given = [value for value in values if value is not None]
    if any(value != given[0] for value in given):
        raise ConfigurationError(f"expected one {what} of the view {name}, got several that differ")
    return given[0] if given else None
