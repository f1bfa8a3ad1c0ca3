"""Decorators that keep a function's results: `cached` and `cached_with_invalidation`."""

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from greencache.decorators.calls import CallNames, KeyOption, TagsOption
from greencache.decorators.invalidation import BoundInvalidatedFunction, InvalidatedFunction
from greencache.decorators.targets import Target
from greencache.decorators.wrapper import BoundCachedFunction, CachedFunction, CacheInfo, Manager
from greencache.errors import ConfigurationError
from greencache.options import EntryOptions
from greencache.typing import UNSET, CacheTier, Seconds, Unset

__all__ = [
    "BoundCachedFunction",
    "BoundInvalidatedFunction",
    "CacheInfo",
    "CachedFunction",
    "InvalidatedFunction",
    "Manager",
    "cached",
    "cached_with_invalidation",
]

P = ParamSpec("P")
R = TypeVar("R")


class CachedDecorator(Protocol):
    """Turns a function into a `CachedFunction`.

    To type checkers a function whose first parameter is a class is a class method, which is always bound.
    """

    @overload  # A static method comes first, since its first argument may be a class too.
    def __call__(self, function: "staticmethod[P, R]", /) -> CachedFunction[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, function: "classmethod[Any, P, R]", /) -> BoundCachedFunction[P, R]: ...
    @overload
    def __call__(self, function: Callable[Concatenate[type[Any], P], R], /) -> BoundCachedFunction[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> CachedFunction[P, R]: ...


class InvalidatedDecorator(Protocol):
    """Turns a function into an `InvalidatedFunction`; see `CachedDecorator` for class methods."""

    @overload  # A static method comes first, since its first argument may be a class too.
    def __call__(self, function: "staticmethod[P, R]", /) -> InvalidatedFunction[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, function: "classmethod[Any, P, R]", /) -> BoundInvalidatedFunction[P, R]: ...
    @overload
    def __call__(
        self, function: Callable[Concatenate[type[Any], P], R], /
    ) -> BoundInvalidatedFunction[P, R]: ...
    @overload
    def __call__(self, function: Callable[P, R], /) -> InvalidatedFunction[P, R]: ...


def cached(
    ttl: Seconds | Unset | None = UNSET,
    *,
    cache_manager: Manager | Callable[..., Manager],
    key: KeyOption = None,
    prefix: str | None = None,
    self_key: str | None = None,
    tags: TagsOption = (),
    tier: CacheTier | Unset | None = UNSET,
    stale_ttl: Seconds | Unset = UNSET,
    refresh_ahead: float | Unset = UNSET,
    jitter: float | Unset = UNSET,
    beta: float | Unset = UNSET,
    negative_ttl: Seconds | Unset = UNSET,
    retry_after: Seconds | Unset = UNSET,
    soft_timeout: Seconds | Unset = UNSET,
    hard_timeout: Seconds | Unset = UNSET,
) -> CachedDecorator:
    """Keep the results of a function, by its arguments.

    Works on functions, methods, and static and class methods, above or below `@staticmethod` and
    `@classmethod`. A first parameter named `self` or `cls` is left out of the key; so where the result
    depends on the instance, or on which subclass it is, name what tells them apart with `self_key`.

    Args:
        ttl: Seconds that a result is fresh; `None` for ever; the cache's default if not given.
        cache_manager: The cache; or a callable that returns it, which gets the receiver of a method.
        key: A template over the arguments, such as `"factor:{region}"`; or a callable that gets the arguments
            of the call, `self` included, and returns the key. Arguments that it leaves out do not count.
        prefix: What keys begin with when there is no `key`; else the function's module and qualified name.
        self_key: An attribute of `self` or `cls` that is part of the key, and a field in templates.
        tags: Templates over the arguments; or a callable like `key` that returns tags, at every call.
        tier: The deepest tier that keeps a result; `None` for all.
        stale_ttl: Further seconds that a result is kept, to be served when the function fails.
        refresh_ahead: Part of the ttl after which a call reloads the result in the background.
        jitter: Part of the ttl by which it is shortened at random.
        beta: How early results are reloaded at random in the background; as of `EntryOptions`.
        negative_ttl: Seconds that a `None` is fresh.
        retry_after: Seconds that an expired result counts as fresh again after the function has failed.
        soft_timeout: Seconds after which an expired result is returned while the function goes on.
        hard_timeout: Seconds after which a call raises `LoadTimeoutError` while the function goes on.

    Raises:
        ConfigurationError: Options that contradict the function's signature, or a function that shares its
            name with others, such as a lambda or a closure, without `key` or `prefix`.
        InvalidOptionError: An option out of its range.
        UnsupportedFunctionError: A generator or coroutine function.
    """
    options = _given_options(
        ttl=ttl,
        tier=tier,
        stale_ttl=stale_ttl,
        refresh_ahead=refresh_ahead,
        jitter=jitter,
        beta=beta,
        negative_ttl=negative_ttl,
        retry_after=retry_after,
        soft_timeout=soft_timeout,
        hard_timeout=hard_timeout,
    )

    def decorate(function: Any) -> Any:
        target = Target.of(function, is_method=self_key is not None)
        names = CallNames(target, prefix=prefix, key=key, tags=tags, self_key=self_key)
        return CachedFunction(names, cache_manager, options)

    return decorate


def cached_with_invalidation(
    ttl: Seconds | Unset | None = UNSET,
    *,
    cache_manager: Manager | Callable[..., Manager],
    key: KeyOption = None,
    prefix: str | None = None,
    self_key: str | None = None,
    tags: TagsOption = (),
    tier: CacheTier | Unset | None = UNSET,
    stale_ttl: Seconds | Unset = UNSET,
    refresh_ahead: float | Unset = UNSET,
    jitter: float | Unset = UNSET,
    beta: float | Unset = UNSET,
    negative_ttl: Seconds | Unset = UNSET,
    retry_after: Seconds | Unset = UNSET,
    soft_timeout: Seconds | Unset = UNSET,
    hard_timeout: Seconds | Unset = UNSET,
) -> InvalidatedDecorator:
    """Keep the results of a function until the functions that write have made them wrong.

    As `cached`, with the same arguments, and every result carries a tag of the function. So the decorated
    function has two more methods: `invalidate_all()`, and `invalidated_by`, which decorates writers::

        @cached_with_invalidation(ttl=300, key="factor:{region}", cache_manager=cache)
        def factor(region): ...

        @factor.invalidated_by
        def set_factor(region, value): ...

    After `set_factor("DE", 380.0)` has returned, the next `factor("DE")` runs the function again.
    """
    options = _given_options(
        ttl=ttl,
        tier=tier,
        stale_ttl=stale_ttl,
        refresh_ahead=refresh_ahead,
        jitter=jitter,
        beta=beta,
        negative_ttl=negative_ttl,
        retry_after=retry_after,
        soft_timeout=soft_timeout,
        hard_timeout=hard_timeout,
    )

    def decorate(function: Any) -> Any:
        target = Target.of(function, is_method=self_key is not None)
        tag = f"fn:{prefix or target.name}"
        names = CallNames(target, prefix=prefix, key=key, tags=tags, self_key=self_key, function_tag=tag)
        return InvalidatedFunction(names, cache_manager, options, tag)

    return decorate


def _given_options(**options: Any) -> dict[str, Any]:
    """Return the options that were given, once they are known to be in range."""
    if callable(options["ttl"]):
        raise ConfigurationError("expected the decorator to be called: @cached(cache_manager=…)")
    given = {name: value for name, value in options.items() if value is not UNSET}
    EntryOptions(**given)
    return given
