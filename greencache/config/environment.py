"""Settings from environment variables: `GREENCACHE__L2__URL` is `l2.url`."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from greencache.config.layers import Layer, SettingPath, named
from greencache.errors import ConfigurationError

__all__ = ["PREFIX", "PROFILE_VARIABLE", "read_environment"]

PREFIX: Final = "GREENCACHE__"
PROFILE_VARIABLE: Final = "GREENCACHE_PROFILE"


def read_environment(environ: Mapping[str, str], sections: Iterable[str]) -> Layer:
    """Return the settings that environment variables give.

    A variable that is set to nothing counts as not set, which is how compose files spell "not given".

    Args:
        environ: Variables and their values.
        sections: The outermost names, to recognise `GREENCACHE_L2_URL`, which lacks underscores.

    Raises:
        ConfigurationError: If a name is malformed, or two variables contradict each other.
    """
    values: dict[str, Any] = {}
    origins: dict[SettingPath, str] = {}
    known = tuple(sections)
    for variable in sorted(environ):
        _check_underscores(variable, known)
        if variable.startswith(PREFIX) and environ[variable]:
            path = _path(variable)
            _place(values, path, environ[variable], variable)
            origins[path] = f"environment variable {variable}"
    return Layer(values, origins)


def _path(variable: str) -> tuple[str, ...]:
    names = variable.removeprefix(PREFIX).split("__")
    if not all(names) or variable != variable.upper():
        raise ConfigurationError(
            f"environment variable {variable}: expected upper-case names parted by two underscores, "
            f"as in {PREFIX}L2__URL"
        )
    return tuple(name.lower() for name in names)


def _place(values: dict[str, Any], path: tuple[str, ...], value: str, variable: str) -> None:
    *outer, last = path
    for name in outer:
        values = values.setdefault(name, {})
        if not isinstance(values, dict):
            # Sorted, so the shorter variable, which gave one value where names are wanted, came first.
            raise ConfigurationError(
                f"environment variable {variable}: {named(path)} is part of a setting that another variable "
                f"gives as a whole; unset one of them"
            )
    values[last] = value


def _check_underscores(variable: str, sections: tuple[str, ...]) -> None:
    for section in sections:
        stem = f"GREENCACHE_{section.upper()}"
        if variable == stem or variable.startswith(stem + "_"):
            inner = variable.removeprefix(stem).lstrip("_")
            right = PREFIX + section.upper() + (f"__{inner}" if inner else "")
            raise ConfigurationError(
                f"environment variable {variable}: two underscores part the names; did you mean {right}?"
            )
