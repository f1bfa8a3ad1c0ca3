"""A YAML file, read strictly: only plain data, no name twice, nothing guessed.

PyYAML speaks YAML 1.1, in which `no` is false, `010` is eight, `1:30` is ninety and `2026-13-01` an
exception. Here the rules of YAML 1.2's core schema decide, which leave such things text. Anchors and aliases
are refused: profiles say the same more clearly, and without them no file can unfold to more than it is.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from greencache.config.layers import Layer, SettingPath
from greencache.errors import ConfigurationError

__all__ = ["read_yaml"]

_TAG: Final = "tag:yaml.org,2002:"
_SCALARS: Final = {_TAG + name for name in ("str", "null", "bool", "int", "float")}
_CORE: Final = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    # No leading zeros: to PyYAML they mean octal, and a numeric password would lose them.
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+]?[0-9]+)?", list("-+0123456789")),
)


class _StrictLoader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 -- PyYAML's way

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "anchor", None):
            problem = "anchors and aliases are not supported; use profiles with extends, or quote the text"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        return super().compose_node(parent, index)


for _name, _pattern, _first in _CORE:
    _StrictLoader.add_implicit_resolver(_TAG + _name, re.compile(_pattern + r"\Z"), _first)


def read_yaml(path: str | os.PathLike[str]) -> Layer:
    """Return the settings of a YAML file, each with its line and column.

    A relative path under a name that ends in `_file` counts from the folder of the YAML file.

    Raises:
        ConfigurationError: If it cannot be read, is not YAML, or is not a mapping of names. The message never
            quotes the file: it may hold secrets.
    """
    file = Path(path)
    problem = ""
    try:
        return _Reader(file).read(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 at byte {error.start}"
    except RecursionError:
        problem = "is nested too deeply"
    except yaml.YAMLError as error:
        problem = _described(error)
    # Outside of the handlers, for an error keeps the one it was raised from, and PyYAML's quote the file.
    raise ConfigurationError(f"{file}{problem if problem.startswith(':') else ' ' + problem}")


class _Reader:
    def __init__(self, file: Path) -> None:
        self._file = file
        self._origins: dict[SettingPath, str] = {}

    def read(self, text: str) -> Layer:
        loader = _StrictLoader(text)
        try:
            node = loader.get_single_node()
            values = None if node is None else self._value(node, (), loader)
            if node is None or values is None:  # comments alone, or `---`
                return Layer()
            if isinstance(values, dict):
                return Layer(values, self._origins)
            raise _marked("expected a mapping of names to settings", node)
        finally:
            loader.dispose()

    def _value(self, node: yaml.Node, path: SettingPath, loader: _StrictLoader) -> Any:
        if path:
            self._origins[path] = f"{self._file}:{_position(node.start_mark)}"
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return {name: self._member(name, value, path, loader) for name, value in _members(node)}
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self._value(item, (*path, index), loader) for index, item in enumerate(node.value)]
        return _scalar(node, loader)

    def _member(self, name: str, node: yaml.Node, path: SettingPath, loader: _StrictLoader) -> Any:
        value = self._value(node, (*path, name), loader)
        return str(self._file.parent / value) if name.endswith("_file") and isinstance(value, str) else value


def _members(node: yaml.MappingNode) -> Iterator[tuple[str, yaml.Node]]:
    lines: dict[str, int] = {}
    for key, value in node.value:
        if key.tag != _TAG + "str" or not isinstance(key, yaml.ScalarNode):
            raise _marked("expected a name as text", key)
        if key.value in lines:
            raise _marked(f"{key.value!r} was already given in line {lines[key.value]}", key)
        lines[key.value] = key.start_mark.line + 1
        yield key.value, value


def _scalar(node: yaml.Node, loader: _StrictLoader) -> Any:
    if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
        try:
            return loader.construct_object(node)
        except ValueError:
            pass  # `!!int abc`: said below, where the text is not part of the error's history
    raise _marked("expected plain text, a number, true, false or null; quote text that begins with !", node)


def _marked(problem: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def _described(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or "it has a character that YAML does not allow"
    problem = re.sub("'([^']*)'", _harmless, problem)
    return f":{_position(mark)}: {problem}" if mark else f"is not YAML: {problem}"


def _harmless(quoted: re.Match[str]) -> str:
    """Return what PyYAML quotes if it is a character or a <kind of token>: else it may be of a password."""
    return quoted[0] if len(quoted[1]) <= 1 or quoted[1][0] == "<" else "'…'"


def _position(mark: yaml.Mark) -> str:
    return f"{mark.line + 1}:{mark.column + 1}"
