"""What tools ask of a tier, without any consequence."""

import dataclasses
from collections.abc import Callable
from typing import Protocol, Self, TypeVar, runtime_checkable

from greencache.backends.breaker import Breaker
from greencache.entry import Entry
from greencache.errors import ServerReplyError, TierUnavailableError
from greencache.typing import Seconds

__all__ = ["HeldLease", "Inspection", "Protected", "examined"]

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HeldLease:
    """A lease that somebody holds.

    Args:
        holder: Who, as "host:pid"; empty if the tier does not know.
        left: Seconds after which it ends by itself; `None` if it does not.
        holders: How many share it.
    """

    holder: str = ""
    left: Seconds | None = None
    holders: int = 1

    @classmethod
    def of_token(cls, token: str, left: Seconds) -> Self:
        """Return the lease that a token stands for, which begins with who holds it.

        Args:
            token: "host:pid:" and something unique, or something else.
            left: Seconds until it ends.
        """
        host, _, rest = token.partition(":")
        pid, separator, _ = rest.partition(":")
        return cls(holder=f"{host}:{pid}" if separator and pid.isdecimal() else "", left=left)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What a tier has of one key, for a tool that looks and touches nothing.

    Args:
        entry: The entry, whatever its state and its stamps; the value of one that cannot be read is
            `UNSET`.
        size: Bytes that it takes there; `None` if that is not known.
        lease: The lease on the key, if somebody holds one.
        problem: Why what is there is not answered; empty if it is.
    """

    entry: Entry | None = None
    size: int | None = None
    lease: HeldLease | None = None
    problem: str = ""

    def leased(self, lease: HeldLease) -> "Inspection":
        """Return the same with a lease that somebody holds."""
        return dataclasses.replace(self, lease=lease)


@runtime_checkable
class Protected(Protocol):
    """A tier whose server a circuit breaker spares when it is down."""

    @property
    def breaker(self) -> Breaker:
        """The circuit breaker, to be looked at."""
        ...


def examined(look: Callable[[], T]) -> tuple[T | None, str]:
    """Return what a look at a tier itself finds, or `None` and why it is out of reach.

    A look past its guard: no drop that waits is replayed, and nothing is counted or recorded. The circuit
    breaker turns it away like any other call.
    """
    try:
        return look(), ""
    except (TierUnavailableError, ServerReplyError) as error:
        return None, str(error) or type(error).__name__
