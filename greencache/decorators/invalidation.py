"""Cached functions that know which functions write what they read."""

import functools
import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar, cast, overload

from greencache.decorators.calls import CallNames, argument_templates
from greencache.decorators.targets import Target
from greencache.decorators.wrapper import BoundCachedFunction, CachedFunction
from greencache.errors import ConfigurationError, UnsupportedFunctionError
from greencache.keys import bind_arguments
from greencache.typing import Key

__all__ = ["BoundInvalidatedFunction", "InvalidatedFunction"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
W = TypeVar("W", bound=Callable[..., Any])

_Outdated: TypeAlias = Callable[[Mapping[str, Any]], tuple[list[Key], list[str]]]
"""From the arguments of a writer to the keys and tags that its success makes wrong."""


class InvalidatedFunction(CachedFunction[P, R]):
    """A cached function whose results the functions that write drop. See `cached_with_invalidation`."""

    def __init__(self, names: CallNames, manager: Any, options: Mapping[str, Any], tag: str) -> None:
        super().__init__(names, manager, options)
        self.tag = tag
        """The tag that every result of this function carries."""

    def invalidate_all(self, receiver: object = None, /) -> None:
        """Drop every result of this function from every tier, at the price of one.

        Args:
            receiver: The instance or class, where `cache_manager` is a callable of it.

        Raises:
            InvalidationPending: A tier could not be reached; the drop is queued.
        """
        if receiver is None and self._names.target.receiver and not self._has_fixed_manager:
            raise TypeError(f"{self._names.target.name}: cache_manager= needs the receiver to find the cache")
        self._manager_for((receiver,)).invalidate(tags=(self.tag,))

    @overload
    def invalidated_by(self, writer: W, /) -> W: ...
    @overload
    def invalidated_by(
        self,
        /,
        *,
        keys: Iterable[str] = (),
        tags: Iterable[str] = (),
        everything: bool = False,
    ) -> Callable[[W], W]: ...
    def invalidated_by(
        self,
        writer: Any = None,
        /,
        *,
        keys: Iterable[str] = (),
        tags: Iterable[str] = (),
        everything: bool = False,
    ) -> Any:
        """Decorate a function that writes: when it has returned, what it made wrong is dropped.

        Without further arguments that is the result for the writer's arguments of the same names. Nothing is
        dropped when the writer raises. Where a transaction is around the writer, other readers may load the
        old value again before it commits: call `invalidate` after the commit instead.

        Args:
            writer: The function; put `@staticmethod` and the like above this decorator.
            keys: Templates over the writer's arguments: drop these keys instead.
            tags: Templates over the writer's arguments: drop what carries these tags instead.
            everything: Drop all results of this function instead.

        Raises:
            ConfigurationError: The writer's arguments do not say what to drop.
            UnsupportedFunctionError: A coroutine or generator function, or a descriptor.
        """
        if writer is None:
            return functools.partial(
                cast("Any", self.invalidated_by), keys=keys, tags=tags, everything=everything
            )
        if isinstance(writer, staticmethod | classmethod):
            raise UnsupportedFunctionError(
                f"expected a function, put @{type(writer).__name__} above invalidated_by"
            )
        target = Target.of(writer)
        self._check_receiver(target)
        if everything:
            return self._dropping(target, lambda _: ([], [self.tag]))
        return self._dropping(target, _templated(target, keys, tags) or self._same_call(target))

    def _dropping(self, target: Target, outdated: _Outdated) -> Callable[..., Any]:
        writer = target.function

        @functools.wraps(writer)
        def write(*args: Any, **kwargs: Any) -> Any:
            # Named before the write, so that arguments that cannot be named stop it.
            keys, tags = outdated(bind_arguments(target.signature, args, kwargs))
            result = writer(*args, **kwargs)
            self._manager_for(args).invalidate(*keys, tags=tags)
            return result

        return write

    def _same_call(self, writer: Target) -> _Outdated:
        """Return what finds the result for the arguments of the same names."""
        names, template = self._names, self._names.template
        needed = (
            set(template.fields) if template else {parameter.name for parameter in names.target.arguments}
        )
        missing = needed - {names.self_key} - set(writer.signature.parameters)
        if missing:
            raise ConfigurationError(
                f"{writer.name} takes no {sorted(missing)}, which {names.target.name} keeps its results by; "
                f"say what it invalidates: invalidated_by(keys=…), (tags=…) or (everything=True)",
            )

        def outdated(values: Mapping[str, Any]) -> tuple[list[Key], list[str]]:
            receiver = values[writer.receiver] if writer.receiver else None
            if template:
                attribute = {names.self_key: getattr(receiver, names.self_key)} if names.self_key else {}
                return [template.format_map({**values, **attribute})], []
            call = inspect.BoundArguments(
                names.target.signature,
                OrderedDict(
                    {**values, **({names.target.receiver: receiver} if names.target.receiver else {})}
                ),
            )
            return [names.key(*call.args, **call.kwargs)], []

        return outdated

    def _check_receiver(self, writer: Target) -> None:
        names = self._names
        is_needed = names.self_key or names.key_function or not self._has_fixed_manager
        if names.target.receiver and is_needed and not writer.receiver:
            raise ConfigurationError(
                f"{writer.name} has no `self`, by which {names.target.name} finds its key or its cache; "
                f"make it a method, or call {names.target.name}.invalidate in it",
            )

    @overload
    def __get__(self, instance: None, owner: type, /) -> "InvalidatedFunction[P, R]": ...
    @overload
    def __get__(
        self: "InvalidatedFunction[Concatenate[Any, Q], R]",
        instance: object,
        owner: type | None = None,
        /,
    ) -> "BoundInvalidatedFunction[Q, R]": ...
    def __get__(self, instance: object | None, owner: type | None = None, /) -> Any:
        return super().__get__(cast("Any", instance), owner)

    def _bound(self, receiver: object) -> "BoundInvalidatedFunction[..., R]":
        return BoundInvalidatedFunction(self, receiver)


class BoundInvalidatedFunction(BoundCachedFunction[P, R]):
    """An `InvalidatedFunction` together with its receiver."""

    __slots__ = ()

    def invalidate_all(self) -> None:
        """Drop every result of this method, of all receivers, from every tier."""
        cast("InvalidatedFunction[..., R]", self.__func__).invalidate_all(self.__self__)


def _templated(writer: Target, keys: Iterable[str], tags: Iterable[str]) -> _Outdated | None:
    """Return what fills templates with the writer's arguments; None if there are none."""
    fields = writer.fields
    key_templates = argument_templates(keys, fields, writer.name)
    tag_templates = argument_templates(tags, fields, writer.name)
    if not key_templates and not tag_templates:
        return None
    return lambda values: (
        [template.format_map(values) for template in key_templates],
        [template.format_map(values) for template in tag_templates],
    )
