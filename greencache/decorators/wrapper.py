"""What a decorated function becomes: the function, answered from a cache."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar, cast, overload

from greencache.decorators.calls import CallNames, Unremembered
from greencache.decorators.targets import refuse_used_up
from greencache.errors import ConfigurationError, UnsupportedFunctionError
from greencache.typing import Key

__all__ = ["BoundCachedFunction", "CacheInfo", "CachedFunction", "Manager"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Manager(Protocol):
    """What the decorators use of a CacheManager."""

    # Properties, so that a manager's methods may name and type their options as they like.
    @property
    def get_or_load(self) -> Callable[..., Any]:
        """`get_or_load(key, loader, *, tags=(), **options)`: the value of `key`, loaded if need be."""
        ...

    @property
    def refresh(self) -> Callable[..., Any]:
        """`refresh(key, loader, *, tags=(), **options)`: the value of `key`, dropped and loaded anew."""
        ...

    @property
    def invalidate(self) -> Callable[..., Any]:
        """`invalidate(*keys, tags=())`: drop keys, and everything under tags, from every tier."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class CacheInfo:
    """How one decorated function did in this process.

    Args:
        hits: Calls that did not run the function.
        misses: Runs of the function, those that refreshed an entry in the background included.
    """

    hits: int
    misses: int


class CachedFunction(Generic[P, R]):
    """A function whose results are kept by a cache manager. Made by `cached`.

    Calling it is calling the function, except that a kept result is returned without running it.
    """

    # Slots for what a call touches: they are quicker than a dictionary that `update_wrapper` has updated.
    __slots__ = (
        "__dict__",
        "__weakref__",
        "_calls",
        "_get_or_load",
        "_hit",
        "_manager",
        "_misses",
        "_names",
        "_options",
        "_quick",
        "_run",
    )

    __wrapped__: Callable[P, R]
    __name__: str
    __qualname__: str

    def __init__(self, names: CallNames, manager: Any, options: Mapping[str, Any]) -> None:
        functools.update_wrapper(self, names.target.function)
        if not hasattr(manager, "get_or_load") and not callable(manager):
            raise ConfigurationError(
                f"expected cache_manager= as a CacheManager or a callable that returns one, got {manager!r}",
            )
        self._names = names
        self._manager = manager
        self._options = dict(options)
        # Bound once, not at every call.
        self._quick = names.quick or names.name
        self._run = self._load
        self._get_or_load: Callable[..., Any] | None = None
        self._hit: Callable[[Key], Any] = _no_hit
        if self._has_fixed_manager:
            self._hit = _hits_of(manager)
            self._get_or_load = (
                functools.partial(manager.get_or_load, **options) if options else manager.get_or_load
            )
        self._calls = 0
        self._misses = 0

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what the function returns for these arguments, now or when it was kept."""
        # Counted without a lock: under the GIL no count is lost, without it perhaps a few.
        self._calls += 1
        try:
            key, tags = self._quick(*args, **kwargs)
        except Unremembered as found:
            key, tags = found.named
        except TypeError:  # an unhashable argument; if the arguments were wrong, this raises again
            if self._names.quick is None:
                raise
            key, tags = self._names.name(*args, **kwargs)
        # Before the loader is made and the options are passed on: a hit needs neither.
        entry = self._hit(key)
        if entry is not None:
            hit: R = entry.value
            return hit
        loader = functools.partial(self._run, args, kwargs)
        get_or_load = self._get_or_load or functools.partial(
            self._manager_for(args).get_or_load, **self._options
        )
        value: R = get_or_load(key, loader, tags=tags) if tags else get_or_load(key, loader)
        return value

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
        self._calls += 1
        key, tags = self._names.name(*args, **kwargs)
        loader = functools.partial(self._run, args, kwargs)
        options = {**self._options, "tags": tags} if tags else self._options
        return cast("R", self._manager_for(args).refresh(key, loader, **options))

    def cache_info(self) -> CacheInfo:
        """Return the hits and misses of this function in this process."""
        misses = self._misses
        return CacheInfo(hits=max(0, self._calls - misses), misses=misses)

    def _load(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        self._misses += 1
        target = self._names.target
        result = target.function(*args, **kwargs)
        refuse_used_up(result, target.name)
        return result

    @property
    def _has_fixed_manager(self) -> bool:
        return hasattr(self._manager, "get_or_load")

    def _manager_for(self, args: tuple[Any, ...]) -> Manager:
        if self._has_fixed_manager:
            return cast("Manager", self._manager)
        return cast("Manager", self._manager(*args[:1]) if self._names.target.receiver else self._manager())

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


class BoundCachedFunction(Generic[P, R]):
    """A cached function together with its receiver: what looking up a cached method gives."""

    __slots__ = ("__func__", "__self__")

    def __init__(self, function: CachedFunction[..., R], receiver: object) -> None:
        self.__func__ = function
        self.__self__ = receiver

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what the method returns for these arguments, now or when it was kept."""
        return self.__func__(self.__self__, *args, **kwargs)

    def key(self, /, *args: P.args, **kwargs: P.kwargs) -> Key:
        """Return the key under which the result of this call is kept; see `CachedFunction.key`."""
        return self.__func__.key(self.__self__, *args, **kwargs)

    def invalidate(self, /, *args: P.args, **kwargs: P.kwargs) -> None:
        """Drop the result of this call from every tier; see `CachedFunction.invalidate`."""
        self.__func__.invalidate(self.__self__, *args, **kwargs)

    def refresh(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the method now and keep its result; see `CachedFunction.refresh`."""
        return self.__func__.refresh(self.__self__, *args, **kwargs)

    def cache_info(self) -> CacheInfo:
        """Return the hits and misses of this method, over all its receivers in this process."""
        return self.__func__.cache_info()

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


def _hits_of(manager: Any) -> Callable[[Key], Any]:
    """Return what answers from L1 at once, if `get_or_load` says that it would do just that.

    Not if somebody has put another `get_or_load` in its place, as subclasses and mocks do.
    """
    name = getattr(getattr(manager.get_or_load, "__func__", None), "hits_by", None)
    return _no_hit if name is None else cast("Callable[[Key], Any]", getattr(manager, name))


def _no_hit(_: Key) -> None:
    return None
