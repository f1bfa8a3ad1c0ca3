"""Leases that nobody will use and that could not be given up, since their server did not answer."""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, runtime_checkable

from greencache.backends.retry import TransientError
from greencache.clock import Clock
from greencache.errors import GreencacheError, ServerReplyError
from greencache.tiers.base import Lease
from greencache.typing import Key, Seconds

__all__ = ["OwedLeases", "Owing", "may_have_run"]

_CAPACITY = 10_000
_MOST_AT_ONCE = 100
"""Whoever gives them up is about to read."""
_MOST_LOOKED_AT = 2 * _MOST_AT_ONCE


@runtime_checkable
class Owing(Protocol):
    """A tier that gives up later what cannot be given up now."""

    def owe(self, leases: Mapping[Key, Lease]) -> None:
        """Take leases that nobody will use, without asking the server."""
        ...


class OwedLeases:
    """Keeps them until their server answers again: else an outage of a moment delays others until they end.

    Those that end by themselves meanwhile are forgotten, and so are those beyond the first 10,000.

    Args:
        clock: Tells the time.
        lease_ttl: Seconds after which a lease ends by itself.
    """

    def __init__(self, clock: Clock, lease_ttl: Seconds) -> None:
        self._clock = clock
        self._lease_ttl = lease_ttl
        self._owed: dict[Lease, tuple[Key, Seconds]] = {}

    def __bool__(self) -> bool:
        return bool(self._owed)

    def add(self, leases: Mapping[Key, Lease]) -> None:
        """Note leases that may be there still."""
        ends_at = self._clock.now() + self._lease_ttl
        for key, lease in itertools.islice(leases.items(), max(0, _CAPACITY - len(self._owed))):
            self._owed[lease] = key, ends_at

    @contextlib.contextmanager
    def unless_answered(self, leases: Mapping[Key, Lease]) -> Iterator[None]:
        """Note leases if what is done to them is cut short, by an outage or by whatever ends the caller."""
        try:
            yield
        except ServerReplyError:
            raise  # that is an answer, and the next one would be the same
        except BaseException:
            self.add(leases)
            raise

    @contextlib.contextmanager
    def if_asked_for(self, leases: Mapping[Key, Lease]) -> Iterator[None]:
        """Note leases that are asked for, if nobody hears whether they were granted."""
        try:
            yield
        except GreencacheError as error:
            if may_have_run(error):
                self.add(leases)
            raise
        except BaseException:
            self.add(leases)
            raise

    def take(self, is_answering: Callable[[Key], bool]) -> dict[Key, Lease]:
        """Return leases to be given up now, and forget them.

        Args:
            is_answering: Whether the server of a key does.
        """
        taken: dict[Key, Lease] = {}
        now = self._clock.now()
        for lease, (key, ends_at) in self._oldest():
            if ends_at <= now:
                self._owed.pop(lease, None)
                continue
            is_due = len(taken) < _MOST_AT_ONCE and key not in taken and is_answering(key)
            # Of several threads one gets it.
            if is_due and self._owed.pop(lease, None) is not None:
                taken[key] = lease
        return taken

    def _oldest(self) -> list[tuple[Lease, tuple[Key, Seconds]]]:
        # Not all: while their server is away, each look would go through thousands.
        try:
            return list(itertools.islice(self._owed.items(), _MOST_LOOKED_AT))
        except RuntimeError:
            return []  # another thread has added some meanwhile, where threads are free


def may_have_run(error: Exception) -> bool:
    """Return whether a server may have executed what it has not answered."""
    return isinstance(error, TransientError) and error.may_have_run
