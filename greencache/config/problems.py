"""What pydantic found wrong, said so that one can mend it, and without the secrets that it may have found."""

import re
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from greencache.config.layers import SettingPath, named, origin_of
from greencache.config.nearest import shown, suggestion

__all__ = ["described"]

# Only these come from settings that are a number, a flag or a choice. Any other value may be a secret, or a
# URL with a password where a mapping is expected.
_SHOWS_VALUE: Final = ("int_", "float_", "bool_", "greater_", "less_", "literal_", "finite_")


def described(model: type[BaseModel], error: ValidationError, origins: Mapping[SettingPath, str]) -> str:
    """Return one line for each problem: the setting, where it was written, what was expected, what came.

    Args:
        model: What was validated.
        error: What pydantic said.
        origins: Where settings were written.
    """
    lines = [_line(model, problem, origins) for problem in error.errors(include_url=False)]
    if len(lines) == 1:
        return lines[0]
    return "\n  ".join([f"{len(lines)} problems in the configuration:", *lines])


def _line(model: type[BaseModel], problem: Any, origins: Mapping[SettingPath, str]) -> str:
    path: SettingPath = problem["loc"]
    origin = origin_of(path, origins)
    where = f"{named(path) or 'configuration'}{f' ({origin})' if origin else ''}"
    return f"{where}: {_explained(model, path, problem)}"


def _explained(model: type[BaseModel], path: SettingPath, problem: Any) -> str:
    kind: str = problem["type"]
    came: object = problem["input"]
    if kind == "extra_forbidden":
        return f"there is no such setting; {suggestion(str(path[-1]), _names_at(model, path[:-1]))}"
    if kind == "value_error":
        return str(problem["ctx"]["error"])
    if kind == "missing":
        return "expected a value: this setting has no default"
    if kind == "literal_error":
        choices = re.findall("'([^']*)'", problem["ctx"]["expected"])
        return f"got {shown(came)}; {suggestion(str(came), choices)}"
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return f"expected a mapping of names to settings, got {type(came).__name__}"
    expected = problem["msg"].replace("Input should be", "expected").partition(", unable")[0]
    return f"{expected}, got {shown(came) if kind.startswith(_SHOWS_VALUE) else _kind(came)}"


def _kind(value: object) -> str:
    return f"{type(value).__name__}; quote it" if isinstance(value, int | float) else type(value).__name__


def _names_at(model: type[BaseModel], path: SettingPath) -> list[str]:
    """Return the settings that a model has at a path."""
    for part in path:
        if isinstance(part, str) and part in model.model_fields:
            model = next(_models_in(model.model_fields[part].annotation), model)
    return list(model.model_fields)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models_in(argument)
