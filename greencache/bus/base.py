"""The bus: how other processes learn what they must forget."""

import dataclasses
import enum
import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias, runtime_checkable

from greencache.typing import Key, Seconds

__all__ = ["Bus", "HostMemory", "Logged", "Message", "MessageHandler", "MessageKind", "NullBus"]


class MessageKind(enum.StrEnum):
    """What must be forgotten, or done."""

    DROP = "drop"
    """The named keys."""
    MATCH = "match"
    """The keys that match a pattern."""
    STAMP = "stamp"
    """Everything that carries another stamp than these."""
    LANDED = "landed"
    """Nothing; but who waits for a load of these keys should look again."""
    JOINED = "joined"
    """Made by a listener itself: it hears everything from now on, and can prove nothing this process
    learned before."""
    GAP = "gap"
    """Made by a listener itself: messages were missed, so neither this process nor its host can prove
    anything that they learned before."""


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """An announcement.

    Args:
        kind: What must be forgotten.
        keys: The keys of a drop, or of loads that have ended.
        pattern: The text of the pattern of a match.
        stamps: The new stamps by tag; the tag "" is the namespace.
        host: The servers above the authority on which the sender has done the same already; whoever
            shares them need not do it again.
    """

    kind: MessageKind
    keys: tuple[Key, ...] = ()
    pattern: str = ""
    stamps: Mapping[str, str] = dataclasses.field(default_factory=dict)
    host: str = ""


MessageHandler: TypeAlias = Callable[[Message], None]


class HostMemory(Protocol):
    """Where a host's own tiers keep how far into the log they have been brought.

    They outlive the processes that listen for them. Who starts anew goes on from there, so that nothing is
    missed that was announced while no process of the host was listening.
    """

    def recall(self) -> bytes | None:
        """Return what was remembered last, or `None`: then nobody knows what these tiers have missed."""
        ...

    def remember(self, position: bytes) -> None:
        """Remember a position up to which everything was applied; may fail silently, which costs work."""
        ...


class Bus(Protocol):
    """An ordered log of announcements that every process of a namespace reads.

    `trusted_until` is read on every L1 hit, so it is a plain attribute: the moment, in seconds of the
    process's clock, up to which nothing that was acknowledged elsewhere can have been missed.
    """

    trusted_until: Seconds

    def start(self, handler: MessageHandler, host: HostMemory | None = None) -> None:
        """Begin to listen; the handler is called from the listener's thread.

        Begins where the host's own tiers are, or at present if there are none. If it is not known where they
        are, the first message to the handler is a gap.

        Does not wait for a connection and does not raise when there is none. Called again it costs next to
        nothing, unless a fork has ended the listener: then it begins anew.
        """
        ...

    def wait_joined(self, timeout: Seconds) -> bool:
        """Wait until everything announced from now on will be heard, and return whether it will."""
        ...

    def publish(self, message: Message) -> int:
        """Announce a message to all others, not to oneself, and return its number.

        Raises:
            TierUnavailableError: If it could not be announced.
        """
        ...

    def applied(self) -> int:
        """Return the number of the last message that was heard and applied, or published by oneself."""
        ...

    def close(self) -> None:
        """Stop listening; may be called twice."""
        ...


@runtime_checkable
class Logged(Protocol):
    """A bus whose log lies on a server, which may lose it."""

    def at(self, moment: Seconds) -> Any:
        """Return how far all was applied at a moment; `None` if that was not known yet."""
        ...

    def has(self, position: Any) -> bool:
        """Ask the server whether its log still has what lies at a position.

        Raises:
            TierUnavailableError: If it does not answer.
        """
        ...


class NullBus:
    """For a cache that shares no tier: there is nobody to tell and nothing to miss."""

    __slots__ = ("trusted_until",)

    def __init__(self) -> None:
        self.trusted_until: Seconds = math.inf

    def start(self, handler: MessageHandler, host: HostMemory | None = None) -> None:
        """Listen to nobody."""

    def wait_joined(self, timeout: Seconds) -> bool:  # noqa: ARG002 -- the protocol's signature
        """Return at once: there is nothing to hear."""
        return True

    def publish(self, message: Message) -> int:  # noqa: ARG002 -- the protocol's signature
        """Tell nobody."""
        return 0

    def applied(self) -> int:
        """Return 0: nothing was ever announced."""
        return 0

    def close(self) -> None:
        """Do nothing."""
