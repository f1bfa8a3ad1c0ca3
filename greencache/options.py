"""How one entry is to be kept: the options of a call, merged over those of the cache."""

import dataclasses
import math
import random
from collections.abc import Iterable
from typing import Any, TypedDict

from greencache.entry import XFETCH_REACH
from greencache.errors import InvalidOptionError
from greencache.typing import UNSET, CacheTier, Seconds, Unset

__all__ = ["EntryOptionArguments", "EntryOptions", "check_duration"]


_DURATIONS = ("stale_ttl", "negative_ttl", "retry_after", "soft_timeout", "hard_timeout")


def check_duration(name: str, value: Any) -> Seconds:
    """Return a duration as a float.

    Args:
        name: What the caller calls it, for the message.
        value: Seconds; not negative, not NaN.

    Raises:
        InvalidOptionError: If it is not such a number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidOptionError(f"{name} must be seconds as a number, got {type(value).__name__}")
    try:
        seconds = float(value)
    except OverflowError:
        raise InvalidOptionError(f"{name} must be seconds that a float can hold, got more") from None
    if math.isnan(seconds) or seconds < 0:
        raise InvalidOptionError(f"{name} must be 0 or more seconds, got {value}")
    return seconds


class EntryOptionArguments(TypedDict, total=False):
    """The fields of `EntryOptions` as arguments of a call; `UNSET` is as not given."""

    ttl: Seconds | Unset | None
    stale_ttl: Seconds | Unset
    refresh_ahead: float | Unset
    jitter: float | Unset
    beta: float | Unset
    negative_ttl: Seconds | Unset
    retry_after: Seconds | Unset
    soft_timeout: Seconds | Unset
    hard_timeout: Seconds | Unset
    tier: CacheTier | Unset | None
    tags: Iterable[str] | Unset


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EntryOptions:
    """How one entry is to be kept. What is `UNSET` is decided by the cache, and there by the tier.

    Args:
        ttl: Seconds that the value is fresh; `None` for ever.
        stale_ttl: Further seconds that it is kept, to be served when loading fails.
        refresh_ahead: Part of the ttl, between 0 and 1, after which a hit reloads the value in the
            background; 1 for never.
        beta: Reload in the background at random before the value expires, the likelier the nearer that is
            and the longer the last load took (XFetch, see `greencache.entry.is_due_early`): 1 is the
            optimum, more is earlier, 0 is never. Instead of `refresh_ahead`, not beside it.
        jitter: Part of the ttl, between 0 and 1, by which it is shortened at random, so that entries
            stored together do not expire together.
        negative_ttl: Seconds that a `None` is fresh, and that a key that a loader of many left out is known
            not to exist. If not given, a `None` is kept like any value, and nothing of a missing key.
        retry_after: Seconds that a stale value counts as fresh again after loading has failed, so that a
            source that is down is not hammered; an entry that was due is not reloaded before that either.
        soft_timeout: Seconds after which a caller gets a stale value, if there is one, while the load goes
            on in the background. With a timeout, loaders run on threads of the cache's own.
        hard_timeout: Seconds after which a caller gets `LoadTimeoutError`, while the load goes on.
        tier: The deepest tier that keeps the value; `None` for all.
        tags: Names under which the value can be invalidated together with others.

    Raises:
        InvalidOptionError: If one of them is out of its range.
    """

    ttl: Seconds | Unset | None = UNSET
    stale_ttl: Seconds | Unset = UNSET
    refresh_ahead: float | Unset = UNSET
    jitter: float | Unset = UNSET
    beta: float | Unset = UNSET
    negative_ttl: Seconds | Unset = UNSET
    retry_after: Seconds | Unset = UNSET
    soft_timeout: Seconds | Unset = UNSET
    hard_timeout: Seconds | Unset = UNSET
    tier: CacheTier | None = None
    tags: Iterable[str] = ()

    def __post_init__(self) -> None:
        if self.ttl is not UNSET and self.ttl is not None:
            check_duration("ttl", self.ttl)
        for name in _DURATIONS:
            if (given := getattr(self, name)) is not UNSET:
                check_duration(name, given)
        for name in ("refresh_ahead", "jitter"):
            part = getattr(self, name)
            if part is not UNSET and not 0 <= check_duration(name, part) <= 1:
                raise InvalidOptionError(f"{name} must be between 0 and 1, got {part}")
        if self.beta is not UNSET and not check_duration("beta", self.beta) < math.inf:
            raise InvalidOptionError(f"beta must be a finite number, got {self.beta}")
        if self.beta and self.refresh_ahead is not UNSET:
            raise InvalidOptionError(
                f"give refresh_ahead or beta, not both, got {self.refresh_ahead} and {self.beta}"
            )
        if self.tier is not None and not isinstance(self.tier, CacheTier):
            raise InvalidOptionError(f"tier must be a CacheTier, got {self.tier!r}")
        if isinstance(self.tags, str) or not isinstance(self.tags, Iterable):
            raise InvalidOptionError(f"tags must be a sequence of names, got {self.tags!r}")
        object.__setattr__(self, "tags", tuple(dict.fromkeys(self.tags)))

    def replaced(self, options: EntryOptionArguments) -> "EntryOptions":
        """Return these options with those of a call in their place, as far as it gives them.

        Args:
            options: What the call gives; `UNSET` is not given, but `None` and no tags are.

        Raises:
            InvalidOptionError: If one of them is out of its range.
        """
        given: dict[str, Any] = {name: value for name, value in options.items() if value is not UNSET}
        # Of two ways to reload early, the one that is given stands; a beta of 0 is none.
        if given.get("beta"):
            given.setdefault("refresh_ahead", UNSET)
        elif "refresh_ahead" in given:
            given.setdefault("beta", UNSET)
        return dataclasses.replace(self, **given) if given else self

    @property
    def has_timeout(self) -> bool:
        """Whether a caller waits for a load no longer than a given time."""
        return self.soft_timeout is not UNSET or self.hard_timeout is not UNSET

    def lifetime(self, default_ttl: Seconds | None, cost: Seconds = 0.0) -> tuple[Seconds, Seconds, Seconds]:
        """Return the seconds after which an entry made now is due, no longer fresh, and gone.

        Args:
            default_ttl: The ttl when none was given; `None` for ever.
            cost: Seconds that loading it took.
        """
        ttl = default_ttl if self.ttl is UNSET else self.ttl
        if ttl is None:
            return math.inf, math.inf, math.inf
        jitter = 0.0 if self.jitter is UNSET else self.jitter
        # Randomness spreads load here; it protects nothing.
        fresh = ttl * (1.0 - jitter * random.random()) if jitter else float(ttl)  # noqa: S311
        part = 1.0 if self.refresh_ahead is UNSET else self.refresh_ahead
        due = fresh * part if fresh < math.inf else fresh
        if self.beta is not UNSET and self.beta:
            # May lie before now; the time from which readers throw their dice.
            due = fresh - XFETCH_REACH * self.beta * cost
        return due, fresh, fresh + (0.0 if self.stale_ttl is UNSET else self.stale_ttl)
