"""A tier of which a part may be away, as a node of a Cluster that holds some of its keys.

A read finds what is there: keys of the part that is away are absent. A write does what can be done, and then
says by `PartialOutageError` for which keys it could not: these, and no others, wait for the part to be back.
What is about the tier as a whole, such as its stamps or a pattern, is an outage of the whole.
"""

from collections.abc import Collection, Iterable
from typing import Any, Protocol, runtime_checkable

from greencache.errors import TierUnavailableError
from greencache.tiers.base import Status
from greencache.typing import Key

__all__ = ["PartialOutageError", "Sharded", "raise_for", "without_outages"]


class PartialOutageError(TierUnavailableError):
    """A write has reached the keys that could be reached.

    Args:
        outage: Why it has not reached the others.
        keys: Those.
    """

    is_outage = False

    def __init__(self, outage: TierUnavailableError, keys: Collection[Key]) -> None:
        super().__init__(f"{len(keys)} keys were not reached: {outage}")
        self.keys = keys


@runtime_checkable
class Sharded(Protocol):
    """A tier whose keys may lie on several servers."""

    @property
    def is_sharded(self) -> bool:
        """Whether they do."""
        ...

    def condition(self) -> Status:
        """Return how it is, as far as calls have shown: degraded while a part of it does not answer.

        Down is a tier of which that part does not answer without which nothing can be proved or announced.
        """
        ...

    def unreached(self, keys: Iterable[Key]) -> list[Key]:
        """Return those of some keys that lie in a part which does not answer."""
        ...


def raise_for(keys: Iterable[Key], replies: Iterable[Any]) -> None:
    """Raise a `PartialOutageError` if errors stand in the places of some replies.

    Args:
        keys: What was to be written.
        replies: What came of it, by key.
    """
    missed = {
        key: reply
        for key, reply in zip(keys, replies, strict=True)
        if isinstance(reply, TierUnavailableError)
    }
    if missed:
        raise PartialOutageError(next(iter(missed.values())), missed.keys())


def without_outages(replies: Iterable[Any]) -> list[Any]:
    """Return replies with `None` where an error stands in the place of one."""
    return [None if isinstance(reply, TierUnavailableError) else reply for reply in replies]
