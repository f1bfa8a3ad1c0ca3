"""What can be decorated: the function behind a descriptor, its receiver, and its name in keys."""

import dataclasses
import functools
import inspect
import pathlib
from collections.abc import Awaitable, Callable, Iterator
from types import CoroutineType
from typing import Any

from greencache.errors import ConfigurationError, UnsupportedFunctionError

__all__ = ["Target", "refuse_unfinished", "refuse_used_up"]

_RECEIVERS = frozenset({"self", "cls"})
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """A function to decorate.

    Args:
        function: The function itself, without `staticmethod` or `classmethod` around it.
        signature: Its signature, receiver included.
        receiver: The parameter that takes the instance or class; None if there is none.
        descriptor: `staticmethod` or `classmethod` if the function came in one, else None.
    """

    function: Callable[..., Any]
    signature: inspect.Signature
    receiver: str | None
    descriptor: type | None

    @classmethod
    def of(cls, decorated: Any, *, is_method: bool = False) -> "Target":
        """Describe what a decorator was put on.

        A first parameter named `self` or `cls` is the receiver. Names decide, since a decorator above this
        one, such as `@property` or `@classmethod`, hides from it what the class makes of the function.

        Args:
            decorated: A function, or a `staticmethod` or `classmethod` around one.
            is_method: The first parameter is the receiver whatever its name.

        Raises:
            UnsupportedFunctionError: A coroutine function, a generator function, or no function at all.
        """
        descriptor = type(decorated) if isinstance(decorated, staticmethod | classmethod) else None
        function = decorated.__func__ if descriptor else decorated
        refuse_unfinished(function)
        signature = _signature(function)
        first = next((p.name for p in signature.parameters.values() if p.kind in _POSITIONAL), None)
        has_receiver = is_method or descriptor is classmethod or first in _RECEIVERS
        receiver = first if has_receiver and descriptor is not staticmethod else None
        return cls(function, signature, receiver, descriptor)

    @property
    def arguments(self) -> list[inspect.Parameter]:
        """The parameters without the receiver."""
        return [p for p in self.signature.parameters.values() if p.name != self.receiver]

    @property
    def fields(self) -> list[str]:
        """The names of its arguments that a template can use."""
        return [p.name for p in self.arguments if p.kind not in _VARIABLE]

    @property
    def name(self) -> str:
        """`module.qualname`, for people."""
        function = self.function
        return f"{_module_name(function)}.{getattr(function, '__qualname__', type(function).__qualname__)}"

    def prefix(self) -> str:
        """Return the text that begins this function's keys and no other's.

        Raises:
            ConfigurationError: Other functions may have the same name, and so would share entries.
        """
        reason = _why_ambiguous(self.function)
        if reason:
            raise ConfigurationError(
                f"{self.name} is {reason}, so its name does not tell it from others and they would share "
                f"entries; give prefix= or key=",
            )
        return self.name


def refuse_unfinished(function: Any) -> None:
    """Raise UnsupportedFunctionError if `function` returns before its work is done, or is no function."""
    if isinstance(function, property | functools.cached_property):
        raise UnsupportedFunctionError(
            "expected a function, got a property; put @property above this decorator"
        )
    if not callable(function) or isinstance(function, type):
        raise UnsupportedFunctionError(f"expected a function, got {function!r}")
    called = function if hasattr(function, "__code__") else getattr(type(function), "__call__", None)  # noqa: B004
    for candidate in (function, called):
        if inspect.iscoroutinefunction(candidate):
            raise UnsupportedFunctionError(
                f"{function!r} is a coroutine function: its result is there only after await; "
                f"decorate the plain function that it calls",
            )
        if inspect.isgeneratorfunction(candidate) or inspect.isasyncgenfunction(candidate):
            raise UnsupportedFunctionError(
                f"{function!r} is a generator function: what it returns can be read only once; "
                f"return a list or a tuple",
            )


def refuse_used_up(result: object, function: str) -> None:
    """Raise UnsupportedFunctionError if `result` of `function` can be used only once."""
    if not isinstance(result, Iterator | Awaitable):
        return
    if isinstance(result, CoroutineType):
        result.close()  # or Python warns that nobody awaited it
    raise UnsupportedFunctionError(
        f"{function} returned a {type(result).__qualname__}, which can be used only once; "
        f"return a list or a tuple, or the awaited value",
    )


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise UnsupportedFunctionError(
            f"{function!r} has no signature: wrap it in a function ({error})"
        ) from None


def _why_ambiguous(function: Any) -> str | None:
    """Say why another function may have the same module and qualified name; None if none can."""
    name = getattr(function, "__qualname__", None)
    if name is None:
        return f"a {type(function).__qualname__} without a name of its own"
    if "<lambda>" in name:
        return "a lambda"
    owner = getattr(function, "__self__", None)
    if owner is not None and not inspect.ismodule(owner) and not isinstance(owner, type):
        return "bound to an instance that its keys would not show"
    # Methods that use super() close over `__class__`, which says nothing about their results.
    code = getattr(inspect.unwrap(function), "__code__", None)
    captured = set(code.co_freevars) - {"__class__"} if code else set()
    return f"a closure over {', '.join(sorted(captured))}" if captured and "<locals>" in name else None


def _module_name(function: Any) -> str:
    """Return the function's module, by a name that scripts and their child processes agree on.

    A script's module is `__main__`, in processes that multiprocessing spawned `__mp_main__`, and elsewhere
    its file's name; entries are shared between them, and not with another script's `__main__`.
    """
    module = getattr(function, "__module__", None) or type(function).__module__
    if module not in ("__main__", "__mp_main__"):
        return str(module)
    names = getattr(function, "__globals__", {})
    if names.get("__spec__") is not None:
        return str(names["__spec__"].name)
    return pathlib.PurePath(names["__file__"]).stem if "__file__" in names else "__main__"
