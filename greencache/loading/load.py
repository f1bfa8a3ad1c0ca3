"""What a loader may know of the load that it runs in, and say about what it returns."""

import contextlib
import contextvars
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from greencache.backends.postgres_position import Position
from greencache.errors import InvalidArgumentError
from greencache.flight import Flight
from greencache.keys import check_tag
from greencache.options import check_duration
from greencache.typing import UNSET, Key, Seconds, Unset

__all__ = [
    "Load",
    "Remarks",
    "Tags",
    "current_load",
    "is_loading",
    "is_seeing_uncommitted",
    "loads_under_way",
    "note_position",
    "run_inside",
    "seeing_uncommitted",
]

_uncommitted: contextvars.ContextVar[bool] = contextvars.ContextVar("greencache_uncommitted", default=False)
_current: contextvars.ContextVar["Load | None"] = contextvars.ContextVar("greencache_load", default=None)


def current_load() -> "Load":
    """Return the load that the caller runs in, for a loader to look at and to remark on.

    Raises:
        InvalidArgumentError: If no loader of greencache is running in this thread, greenlet or task, or the
            one that has begun it has ended.
    """
    load = _current.get()
    if load is None:
        raise InvalidArgumentError("expected to be called by a loader, while it runs; no load is under way")
    if load.has_ended:
        # Nor is it the one further out, if there is one: what is said now is not about that one's value.
        raise InvalidArgumentError("expected to be called by a loader, while it runs; the load has ended")
    return load


class Tags:
    """Names under which what is being loaded can be invalidated, added one by one."""

    __slots__ = ("added",)

    def __init__(self) -> None:
        self.added: dict[str, None] = {}

    def add(self, *tags: str) -> None:
        """Add tags.

        Raises:
            InvalidKeyError: If one cannot be a tag; those before it are added.
        """
        for tag in tags:
            self.added[check_tag(tag)] = None


class Remarks:
    """What a loader says about values that it is about to return."""

    __slots__ = ("_ttl", "is_declined", "tags")

    def __init__(self) -> None:
        self.tags = Tags()
        """Take tags that are known only now; an invalidation since the load began counts as well."""
        self.is_declined = False
        self._ttl: Seconds | Unset | None = UNSET

    @property
    def ttl(self) -> Seconds | Unset | None:
        """Seconds that the value is fresh, instead of the caller's; `None` for ever."""
        return self._ttl

    @ttl.setter
    def ttl(self, seconds: Seconds | Unset | None) -> None:
        self._ttl = seconds if seconds is UNSET or seconds is None else check_duration("ttl", seconds)

    def decline(self) -> None:
        """Let the value be returned to all who wait for it, and not be stored."""
        self.is_declined = True


class Load(Remarks):
    """A run of a loader; what is said of it as a whole holds for each of its keys.

    Args:
        keys: What is to be loaded.
        stale: Values that have expired and could be confirmed with `NOT_MODIFIED`, by key.
        now: Tells the seconds of the process's clock.
        owner: What stands for the cache that loads.
    """

    __slots__ = (
        "_keys",
        "_now",
        "_of",
        "cost",
        "flights",
        "gate",
        "has_begun",
        "has_ended",
        "keys",
        "outer",
        "owner",
        "positions",
        "sees_uncommitted",
        "stale",
    )

    def __init__(
        self,
        keys: Collection[Key],
        stale: Mapping[Key, Any],
        now: Callable[[], Seconds],
        owner: object = None,
    ) -> None:
        super().__init__()
        self.keys = tuple(keys)
        self.stale = stale
        self.has_begun = False
        self.has_ended = False
        self.cost: Seconds = 0.0
        self.flights: Collection[Flight] = ()
        self.gate: object = None
        self.outer: Load | None = None
        self.owner = owner
        self.positions: dict[Position, None] = {}
        self.sees_uncommitted = _uncommitted.get()
        self._keys = frozenset(self.keys)
        self._now = now
        self._of: dict[Key, Remarks] = {}

    def of(self, key: Key) -> Remarks:
        """Return the remarks on one key of many, which go before those on all.

        Raises:
            InvalidArgumentError: If the key is none of those to be loaded.
        """
        if key not in self._keys:
            raise InvalidArgumentError(f"expected one of the {len(self.keys)} keys that are being loaded")
        return self._of.setdefault(key, Remarks())

    def ttl_of(self, key: Key) -> Seconds | Unset | None:
        """Return what was said of a key's ttl, or of all keys'."""
        own = self._of.get(key)
        return self.ttl if own is None or own.ttl is UNSET else own.ttl

    def tags_of(self, key: Key) -> tuple[str, ...]:
        """Return the tags that were added for a key, or for all."""
        own = self._of.get(key)
        return tuple(self.tags.added if own is None else self.tags.added | own.tags.added)

    def is_stored(self, key: Key) -> bool:
        """Return whether the value of a key was not declined."""
        own = self._of.get(key)
        return not self.is_declined and (own is None or not own.is_declined)

    @property
    def is_uncommitted(self) -> bool:
        """Whether its caller's transaction has changed something, which the loader may have seen."""
        return self.sees_uncommitted or any(position.has_written for position in self.positions)

    def withhold(self) -> None:
        """Let nobody who has joined have what comes of it, value or error: they look for themselves."""
        for flight in self.flights:
            flight.is_shared = False

    def under_way(self) -> "Run":
        """Be the current load while the body, which is the loader, runs; and note how long it takes."""
        return Run(self, self._now)


class Run:
    """The body of a `with` in which a load is the current one."""

    __slots__ = ("_load", "_now", "_started", "_token")

    def __init__(self, load: Load, now: Callable[[], Seconds]) -> None:
        self._load = load
        self._now = now

    def __enter__(self) -> None:
        load = self._load
        load.outer = next(loads_under_way(), None) if is_loading() else None
        load.has_begun = True
        self._started = self._now()
        self._token = _current.set(load)

    def __exit__(self, *_: object) -> None:
        load = self._load
        load.cost = self._now() - self._started
        load.has_ended = True
        # An exception thrown in from outside may end the body in another context than it began in.
        with contextlib.suppress(ValueError):
            _current.reset(self._token)


def is_loading() -> bool:
    """Return whether the caller may run in a load: what most callers do not, and need not look for."""
    return _current.get() is not None


def loads_under_way() -> Iterator[Load]:
    """Yield the loads that the caller runs in, from the innermost outward."""
    load = _current.get()
    while load is not None:
        # A task that the loader has begun, and that goes on after it, is no part of the load any more.
        if not load.has_ended:
            yield load
        load = load.outer


def note_position(position: Position) -> None:
    """Note for the loads that the caller runs in where it reads their source."""
    for load in loads_under_way():
        # Also for those further out: what the innermost finds may become a part of their values.
        load.positions[position] = None


@contextlib.contextmanager
def seeing_uncommitted() -> Iterator[None]:
    """Let loads that begin in the body be for their caller alone: it has changed what may be rolled back."""
    token = _uncommitted.set(True)
    try:
        yield
    finally:
        _uncommitted.reset(token)


def is_seeing_uncommitted() -> bool:
    """Return whether the caller is within `seeing_uncommitted`."""
    return _uncommitted.get()


def run_inside(outer: Load | None, call: Any) -> Any:
    """Return what a call returns that runs in a context of its own, in which only the load is known."""
    context = contextvars.Context()
    context.run(_current.set, outer)
    return context.run(call)
