"""Secrets that are mounted as files, as Docker and Kubernetes do: `password_file` instead of `password`."""

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["json_list", "json_mapping", "read_secret", "with_secrets"]

_LARGEST = 65_536


def with_secrets(settings: Any, *names: str, parse: Callable[[str], Any] = str) -> Any:
    """Return settings in which each of some names that has a `…_file` has the text of that file.

    Args:
        settings: Names and values; what is no mapping is left to be refused elsewhere.
        names: Which settings can have a file.
        parse: Makes a setting of the text.

    Raises:
        ValueError: If both are given, or a file cannot be read. No message quotes a secret.
    """
    if not isinstance(settings, Mapping):
        return settings
    filled = dict(settings)
    for name in names:
        path = settings.get(f"{name}_file")
        if not isinstance(path, str | os.PathLike):
            continue
        if settings.get(name):
            raise ValueError(f"expected {name} or {name}_file, got both; take one out")
        filled[name] = parse(read_secret(Path(path)))
    return filled


def read_secret(path: Path) -> str:
    """Return the text of a file, without line ends behind it.

    Raises:
        ValueError: If it cannot be read, is empty, is over 64 KiB or not UTF-8.
    """
    problem = "is not UTF-8"
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
        text = data.decode().rstrip("\r\n")
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        pass  # Its text would quote a byte of the secret.
    else:
        if text and len(data) <= _LARGEST:
            return text
        problem = "is larger than 64 KiB" if text else "is empty"
    raise ValueError(f"the file {path} {problem}")


def json_list(value: Any) -> Any:
    """Return the list that a text holds as JSON, for environment variables are text; or the value unchanged.

    Raises:
        ValueError: If it is text but not a JSON list.
    """
    if not isinstance(value, str):
        return value
    items = None
    with contextlib.suppress(ValueError):  # Its text would quote a secret; said below without.
        items = json.loads(value)
    if isinstance(items, list):
        return items
    raise ValueError('expected a list; in an environment variable as JSON, such as ["first", "second"]')


def json_mapping(value: Any) -> Any:
    """Return the mapping that a text holds as JSON, as environment variables do; or the value unchanged.

    Raises:
        ValueError: If it is text but not a JSON object.
    """
    if not isinstance(value, str):
        return value
    found = None
    with contextlib.suppress(ValueError):  # Its text would quote a secret; said below without.
        found = json.loads(value)
    if isinstance(found, dict):
        return found
    raise ValueError('expected a mapping; in an environment variable as JSON, such as {"hz": "20"}')
