"""What a decorated function becomes: the function, answered from a cache."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from types import MethodType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar, cast, overload

from greencache.decorators.caller import Caller, Manager
from greencache.decorators.calls import CallNames
from greencache.errors import UnsupportedFunctionError
from greencache.typing import Key

__all__ = ["BoundCachedFunction", "CacheInfo", "CachedFunction", "Manager"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")

# In C, so that it costs a call next to nothing. To type checkers nothing, since its types are not these.
if TYPE_CHECKING:

    class _Partial:
        func: Any
        args: tuple[Any, ...]

        def __new__(cls, *_: Any) -> Self: ...

else:
    _Partial = functools.partial


@dataclasses.dataclass(frozen=True, slots=True)
class CacheInfo:
    """How one decorated function did in this process.

    Args:
        hits: Calls that did not run the function.
        misses: Runs of the function, those that refreshed an entry in the background included.
    """

    hits: int
    misses: int


class CachedFunction(_Partial, Generic[P, R]):
    """A function whose results are kept by a cache manager. Made by `cached`.

    Calling it is calling the function, except that a kept result is returned without running it.
    """

    __slots__ = ("_caller", "_names")

    __wrapped__: Callable[P, R]
    __name__: str
    __qualname__: str
    _caller: Caller

    def __new__(cls, names: CallNames, manager: Any, options: Mapping[str, Any], *_: Any) -> Self:
        """Return what calls the caller's function: `functools.partial` does so without a frame of its own."""
        caller = Caller(names, manager, options)
        self: Self = super().__new__(cls, caller.call)
        self._caller = caller
        return self

    def __init__(self, names: CallNames, manager: Any, options: Mapping[str, Any]) -> None:  # noqa: ARG002 -- see __new__
        functools.update_wrapper(self, names.target.function)
        self._names = names

    if TYPE_CHECKING:

        def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
            """Return what the function returns for these arguments, now or when it was kept."""

    def key(self, /, *args: P.args, **kwargs: P.kwargs) -> Key:
        """Return the key under which the result of this call is kept.

        Raises:
            InvalidKeyError: An argument that cannot be part of a key.
        """
        return self._names.key(*self._with_receiver(args), **kwargs)

    def invalidate(self, /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Drop the result of this call from every tier.

        Raises:
            InvalidKeyError: An argument that cannot be part of a key.
            InvalidationPending: A tier could not be reached; the drop is queued.
        """
        key = self.key(*args, **kwargs)
        self._manager_for(args).invalidate(key)

    def refresh(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Drop the result of this call, run the function now, keep the new result and return it.

        The new result is not just written over the old one: an invalidation that comes while the function
        runs would be undone. If the function raises, the old result is gone.

        Raises:
            InvalidKeyError: An argument that cannot be part of a key.
            InvalidationPending: A tier could not be reached; the function was not run.
        """
        if self._lacks_class(args):
            raise self._unknown_class()
        return cast("R", self._caller.refresh(args, kwargs))

    def cache_info(self) -> CacheInfo:
        """Return the hits and misses of this function in this process."""
        misses = self._caller.misses
        return CacheInfo(hits=max(0, self._caller.calls - misses), misses=misses)

    @property
    def _has_fixed_manager(self) -> bool:
        return self._caller.has_fixed_manager

    def _manager_for(self, args: tuple[Any, ...]) -> Manager:
        return self._caller.manager_for(args)

    def _lacks_class(self, args: tuple[Any, ...]) -> bool:
        # From Python 3.13 on, `@classmethod` above this decorator binds calls, but not `key` and the like.
        return self._names.target.receiver == "cls" and not (args and isinstance(args[0], type))

    def _with_receiver(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return `args`, with a stand-in for a class that is not there and makes no difference."""
        if not self._lacks_class(args):
            return args
        if self._names.self_key or self._names.key_function or not self._has_fixed_manager:
            raise self._unknown_class()
        return (None, *args)

    def _unknown_class(self) -> UnsupportedFunctionError:
        return UnsupportedFunctionError(
            f"{self._names.target.name}: the class is unknown here; put this decorator "
            f"above @classmethod, or pass the class as the first argument",
        )

    @overload
    def __get__(self, instance: None, owner: type, /) -> "CachedFunction[P, R]": ...
    @overload
    def __get__(
        self: "CachedFunction[Concatenate[Any, Q], R]",
        instance: object,
        owner: type | None = None,
        /,
    ) -> "BoundCachedFunction[Q, R]": ...
    def __get__(self, instance: object | None, owner: type | None = None, /) -> Any:
        target = self._names.target
        if target.descriptor is classmethod:
            return self._bound(owner or type(instance))
        if instance is None or target.descriptor is staticmethod:
            return self
        if target.receiver is None:
            return MethodType(
                self, instance
            )  # as a plain function would: its arguments will say what is wrong
        return self._bound(instance)

    def _bound(self, receiver: object) -> "BoundCachedFunction[..., R]":
        return BoundCachedFunction(self, receiver)

    def __reduce__(self) -> str:
        # By name, as functions are pickled: process pools find the decorated function, not the bare one.
        return self.__qualname__

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._names.target.name}>"


class BoundCachedFunction(_Partial, Generic[P, R]):
    """A cached function together with its receiver: what looking up a cached method gives."""

    __slots__ = ()

    @property
    def __func__(self) -> Any:
        return self.func

    @property
    def __self__(self) -> Any:
        return self.args[0]

    if TYPE_CHECKING:

        def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
            """Return what the method returns for these arguments, now or when it was kept."""

    def key(self, /, *args: P.args, **kwargs: P.kwargs) -> Key:
        """Return the key under which the result of this call is kept; see `CachedFunction.key`."""
        return cast("Key", self.__func__.key(self.__self__, *args, **kwargs))

    def invalidate(self, /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Drop the result of this call from every tier; see `CachedFunction.invalidate`."""
        self.__func__.invalidate(self.__self__, *args, **kwargs)

    def refresh(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the method now and keep its result; see `CachedFunction.refresh`."""
        return cast("R", self.__func__.refresh(self.__self__, *args, **kwargs))

    def cache_info(self) -> CacheInfo:
        """Return the hits and misses of this method, over all its receivers in this process."""
        return cast("CacheInfo", self.__func__.cache_info())

    @property
    def __wrapped__(self) -> Callable[P, R]:
        # Bound like this one, so that `inspect.signature` shows what is left to pass.
        return MethodType(self.__func__.__wrapped__, self.__self__)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__func__, name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BoundCachedFunction):
            return NotImplemented
        return self.__func__ is other.__func__ and self.__self__ is other.__self__

    def __hash__(self) -> int:
        return hash((id(self.__func__), id(self.__self__)))

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self.__self__, self.__func__.__name__)

    def __repr__(self) -> str:
        return f"<bound {self.__func__!r} of {type(self.__self__).__qualname__}>"
