"""Settings from one place, where each of them was written, and how one place covers another."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

__all__ = ["Layer", "SettingPath", "named", "origin_of"]

SettingPath: TypeAlias = tuple[str | int, ...]
"""The names, and the indexes in lists, that lead to a setting: `("l2", "retry", "retries")`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Layer:
    """The settings of one file, profile or environment.

    Args:
        values: The settings, nested. Not shown in `repr`: some are secret.
        origins: Where each was written, for messages.
    """

    values: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    origins: Mapping[SettingPath, str] = dataclasses.field(default_factory=dict)

    def over(self, below: "Layer") -> "Layer":
        """Return the settings of both; what both have is taken from this one. Lists are not joined."""
        return Layer(_merged(below.values, self.values), {**below.origins, **self.origins})

    def at(self, *path: str) -> "Layer":
        """Return the settings below a path that leads to a mapping, or to nothing."""
        values: Any = self.values
        for name in path:
            values = values.get(name) or {}
        size = len(path)
        inside = {outer[size:]: text for outer, text in self.origins.items() if outer[:size] == path != outer}
        return Layer(values, inside)

    def without(self, *names: str) -> "Layer":
        """Return all settings but some of the outermost."""
        return Layer(
            {name: value for name, value in self.values.items() if name not in names},
            {path: text for path, text in self.origins.items() if path[0] not in names},
        )


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for name, value in above.items():
        # A secret given directly covers the file it came from below, and the other way round.
        result.pop(_alternative(name), None)
        result[name] = _merged_value(below.get(name), value)
    return result


def _merged_value(below: Any, above: Any) -> Any:
    if not isinstance(below, Mapping):
        return above
    if above is None:  # `l2:` with nothing but comments under it
        return below
    return _merged(below, above) if isinstance(above, Mapping) else above


def _alternative(name: str) -> str:
    return name.removesuffix("_file") if name.endswith("_file") else f"{name}_file"


def named(path: SettingPath) -> str:
    """Return a path as people write it: `l4.views[0].key`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def origin_of(path: SettingPath, origins: Mapping[SettingPath, str]) -> str | None:
    """Return where a setting, or else the nearest thing around it, was written."""
    return next((origins[outer] for outer in _outward(path) if outer in origins), None)


def _outward(path: SettingPath) -> Iterator[SettingPath]:
    for size in range(len(path), 0, -1):
        yield path[:size]
