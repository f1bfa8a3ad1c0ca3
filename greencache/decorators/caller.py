"""What calling a decorated function does: it is answered from a cache, or runs."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, cast

from greencache.decorators.calls import CallNames, Named, is_rememberable
from greencache.decorators.shapes import Shape, arguments_of, compile_hit, split, values_of
from greencache.decorators.targets import refuse_used_up
from greencache.errors import ConfigurationError
from greencache.typing import Key

__all__ = ["Caller", "Manager"]

_MOST_KNOWN: Final = 2048
"""Calls whose keys are known, for each combination of types; of these there are few."""


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


class Caller:
    """Answers the calls of one decorated function.

    Args:
        names: Names the entry of each call.
        manager: The cache, or a callable that returns it.
        options: Of the entries.

    Raises:
        ConfigurationError: If the manager is neither.
    """

    __slots__ = (
        "_get_or_load",
        "_hit",
        "_known",
        "_options",
        "_run",
        "call",
        "calls",
        "manager",
        "misses",
        "names",
    )

    def __init__(self, names: CallNames, manager: Any, options: Mapping[str, Any]) -> None:
        if not hasattr(manager, "get_or_load") and not callable(manager):
            raise ConfigurationError(
                f"expected cache_manager= as a CacheManager or a callable that returns one, got {manager!r}",
            )
        self.names = names
        self.manager = manager
        self.calls = 0
        self.misses = 0
        self._options = dict(options)
        # Bound once, not at every call.
        self._run = self._load
        self._get_or_load: Callable[..., Any] | None = None
        if self.has_fixed_manager:
            self._get_or_load = (
                functools.partial(manager.get_or_load, **options) if options else manager.get_or_load
            )
        self._known: dict[Any, dict[Any, Key]] = {}
        self._hit: Callable[[Key], Any] = _no_hit
        self.call = self._choose_call()
        """Returns what the function returns for some arguments, now or when it was kept."""

    @property
    def has_fixed_manager(self) -> bool:
        """Whether the cache is known without a call."""
        return hasattr(self.manager, "get_or_load")

    def manager_for(self, args: tuple[Any, ...]) -> Manager:
        """Return the cache for a call with these arguments, receiver first if there is one."""
        if self.has_fixed_manager:
            return cast("Manager", self.manager)
        return cast("Manager", self.manager(*args[:1]) if self.names.target.receiver else self.manager())

    def refresh(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Drop the result of a call, run the function, and keep and return the new result."""
        self.calls += 1
        key, tags = self.names.name(*args, **kwargs)
        loader = functools.partial(self._run, args, kwargs)
        options = {**self._options, "tags": tags} if tags else self._options
        return self.manager_for(args).refresh(key, loader, **options)

    def _choose_call(self) -> Callable[..., Any]:
        """Return what the manager answers calls with, if its `get_or_load` says that it would do just that.

        Not if somebody has put another `get_or_load` in its place, as subclasses and mocks do.
        """
        method = getattr(self.manager.get_or_load, "__func__", None) if self.has_fixed_manager else None
        hits_by, hits_with = getattr(method, "hits_by", None), getattr(method, "hits_with", None)
        if hits_by is not None:
            self._hit = getattr(self.manager, hits_by)
        if hits_with is None or not self.names.is_by_value:
            return self._answer_any
        at_hand = getattr(self.manager, hits_with)()
        compiled = compile_hit(self.names.target, self._known, self, self._answer_shape, at_hand)
        return compiled or self._answer_any

    def _answer_shape(self, shape: Shape, receiver: tuple[Any, ...]) -> Any:
        """Answer a call whose key is not known yet, or is not in L1."""
        args, kwargs = arguments_of(self.names.target, shape, receiver)
        named = self.names.name(*args, **kwargs)
        if all(map(is_rememberable, values_of(shape))):
            kinds, values = split(shape)
            known = self._known.setdefault(kinds, {})
            if len(known) >= _MOST_KNOWN:
                # Whoever else does so at the same time drops the same ones.
                for early in list(known)[: _MOST_KNOWN // 8]:
                    known.pop(early, None)
            known[values] = named[0]
        return self._answer(args, kwargs, named)

    def _answer_any(self, /, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        named = self.names.name(*args, **kwargs)
        entry = self._hit(named[0])
        return self._answer(args, kwargs, named) if entry is None else entry.value

    def _answer(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], named: Named | None = None) -> Any:
        key, tags = self.names.name(*args, **kwargs) if named is None else named
        loader = functools.partial(self._run, args, kwargs)
        get_or_load = self._get_or_load or functools.partial(
            self.manager_for(args).get_or_load, **self._options
        )
        return get_or_load(key, loader, tags=tags) if tags else get_or_load(key, loader)

    def _load(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        self.misses += 1
        target = self.names.target
        result = target.function(*args, **kwargs)
        refuse_used_up(result, target.name)
        return result


def _no_hit(_: Key) -> None:
    return None
