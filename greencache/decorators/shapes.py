"""Functions compiled for the parameters of another, which answer from L1 what it has of their calls."""

import types
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from typing import Any, Final, TypeAlias

from greencache.decorators.targets import Target
from greencache.policies import MOST_MARKS

__all__ = ["Shape", "arguments_of", "compile_hit", "split", "values_of"]

Shape: TypeAlias = tuple[Any, ...]
"""The values of all parameters but the receiver, and then their types: `1`, `1.0` and `True` are equal."""

_VARIABLE = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)

# The hit is that of `CacheManager.get`. Calls are counted without a lock: under the GIL no count is lost,
# without it perhaps a few. TypeError is that of an argument that cannot be hashed.
_SOURCE: Final = """\
def hit({parameters}):
    {_}counts.calls += 1
    {_}trusted_until = {_}bus.trusted_until
    try:
        {_}entry = {_}index[{_}known[{types}][{values}]]
        {_}moment = {_}now()
        if {_}moment < {_}entry.due_at and {_}moment < {_}trusted_until:
            {_}counters.hits += 1
            if {_}entry.marked < {_}MOST_MARKS:
                {_}entry.marked += 1
            return {_}entry.value
    except ({_}KeyError, {_}TypeError):
        pass
    return {_}otherwise(({shape}), ({receiver}))
"""


def compile_hit(
    target: Target,
    known: Mapping[Any, Mapping[Any, str]],
    counts: object,
    otherwise: Callable[[Shape, tuple[Any, ...]], Any],
    at_hand: Mapping[str, Any],
) -> types.FunctionType | None:
    """Return a function with the parameters of a target; `None` if the target might see a difference.

    It is compiled, as dataclasses compile `__init__`: the interpreter then binds names and defaults, several
    times as fast as `inspect.Signature.bind` does, or a key made of `*args, **kwargs`.

    Args:
        target: A function; one that takes any arguments, or stands for another, might look at how they come.
        known: The keys of calls that were made before, by the two parts of `split`.
        counts: Its `calls` counts all calls.
        otherwise: Answers the calls that L1 cannot answer, given their shape, and the receiver in a tuple.
        at_hand: What a hit touches: `index`, `bus`, `now` and `counters`.
    """
    function = target.function
    parameters = list(target.signature.parameters.values())
    if type(function) is not types.FunctionType or {"__wrapped__", "__signature__"} & vars(function).keys():
        return None
    if any(parameter.kind in _VARIABLE for parameter in parameters):
        return None
    mark = "_"
    while any(parameter.name.startswith(mark) for parameter in parameters):
        mark += "_"
    names = [parameter.name for parameter in target.arguments]
    source = _SOURCE.format(
        _=mark,
        parameters=_declared(parameters),
        types=_item([f"{mark}type({name})" for name in names]),
        values=_item(names),
        shape="".join([*(f"{name}, " for name in names), *(f"{mark}type({name}), " for name in names)]),
        receiver=f"{target.receiver}," if target.receiver else "",
    )
    own = {"known": known, "counts": counts, "otherwise": otherwise, "MOST_MARKS": MOST_MARKS}
    builtins = {"type": type, "KeyError": KeyError, "TypeError": TypeError}
    names_of_hit = {mark + name: part for name, part in {**at_hand, **own, **builtins}.items()}
    # Nothing of the user's is in it but the names of parameters.
    exec(compile(source, f"<hit of {target.name}>", "exec"), names_of_hit)  # noqa: S102
    hit: types.FunctionType = names_of_hit["hit"]
    hit.__defaults__, hit.__kwdefaults__ = function.__defaults__, function.__kwdefaults__
    # What a wrong call is told.
    hit.__name__, hit.__qualname__ = function.__name__, function.__qualname__
    return hit


def split(shape: Shape) -> tuple[Any, Any]:
    """Return the types and the values of a shape, each as what finds a call among those that are known.

    Of a single parameter as they are: without a tuple around it a hit is a fifth quicker.
    """
    values, kinds = values_of(shape), shape[len(shape) // 2 :]
    return (kinds[0], values[0]) if len(values) == 1 else (kinds, values)


def values_of(shape: Shape) -> Shape:
    """Return the values of the parameters alone."""
    return shape[: len(shape) // 2]


def arguments_of(target: Target, shape: Shape, receiver: Sequence[Any]) -> tuple[Shape, dict[str, Any]]:
    """Return the arguments of a call, as its target takes them."""
    values = values_of(shape)
    keywords = [p.name for p in target.arguments if p.kind is Parameter.KEYWORD_ONLY]
    count = len(values) - len(keywords)
    return (*receiver, *values[:count]), dict(zip(keywords, values[count:], strict=True))


def _item(parts: Sequence[str]) -> str:
    return f"({', '.join(parts)})"  # without a comma: a single one is no tuple


def _declared(parameters: Sequence[Parameter]) -> str:
    """Return the parameters as source, without defaults."""
    parts: list[str] = []
    for number, parameter in enumerate(parameters):
        before = parameters[number - 1].kind if number else Parameter.POSITIONAL_OR_KEYWORD
        if before is Parameter.POSITIONAL_ONLY and parameter.kind is not before:
            parts.append("/")
        if parameter.kind is Parameter.KEYWORD_ONLY and before is not parameter.kind:
            parts.append("*")
        parts.append(parameter.name)
    if parameters and parameters[-1].kind is Parameter.POSITIONAL_ONLY:
        parts.append("/")
    return ", ".join(parts)
