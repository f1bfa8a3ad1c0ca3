"""A bus whose every delivery is a step of its own."""

import math

from greencache.bus.base import Message, MessageHandler, MessageKind

from .instruments import brief
from .scheduler import Run, reading, writing


class Bus:
    """Announcements, in one order, and who has heard how many of them."""

    def __init__(self, run: Run, *, loses: bool) -> None:
        self.run = run
        self.log: list[tuple[str, Message]] = []
        self.loses = loses

    def fingerprint(self) -> object:
        """Return what was announced."""
        return tuple(
            (origin, each.kind, each.keys, each.host, brief(each.stamps)) for origin, each in self.log
        )


class Ear:
    """The bus of one process, as `greencache.bus.base.Bus` wants it.

    Args:
        bus: Shared by all.
        origin: The name of the process.
    """

    def __init__(self, bus: Bus, origin: str) -> None:
        self.trusted_until = math.inf
        self.heard = 0
        self._bus = bus
        self._origin = origin
        self._handler: MessageHandler | None = None

    def start(self, handler: MessageHandler, _host: object = None) -> None:
        """Join, once."""
        if self._handler is None:
            self._handler = handler
            handler(Message(MessageKind.JOINED))

    def wait_joined(self, timeout: float) -> bool:
        """Return at once."""
        return True

    def publish(self, message: Message) -> int:
        """Append to the log."""
        self._bus.run.stop_before(writing("bus.publish", "bus"))
        self._bus.log.append((self._origin, message))
        return len(self._bus.log)

    def applied(self) -> int:
        """Return how many have been heard."""
        return self.heard

    def close(self) -> None:
        """Do nothing."""

    @property
    def has_news(self) -> bool:
        """Whether others have announced something that was not heard yet."""
        return any(origin != self._origin for origin, _ in self._bus.log[self.heard :])

    def listen(self) -> None:
        """Apply one message after the other, for ever; one's own are skipped."""
        while True:
            self._bus.run.stop_before(reading("bus.hear", "bus", is_ready=lambda: self.has_news))
            self.hear()

    def hear(self) -> None:
        """Apply the next message of others."""
        while self._bus.log[self.heard][0] == self._origin:
            self.heard += 1
        message = self._bus.log[self.heard][1]
        self.heard += 1
        self._bus.run.note(message.kind.value)
        self._handler(Message(MessageKind.GAP) if self._bus.loses else message)
