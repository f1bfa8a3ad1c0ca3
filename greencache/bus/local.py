"""The bus between caches of one process."""

import collections
import math
import threading
from typing import NamedTuple

from greencache.bus.base import HostMemory, Message, MessageHandler, MessageKind
from greencache.events import Event, EventKind, NullRecorder, Recorder
from greencache.forks import after_fork_in_child
from greencache.typing import Seconds

__all__ = ["LocalBus", "LocalHub"]

_PATIENCE: Seconds = 1.0
"""How soon who waits for a courier that was killed takes its place."""


class _Posted(NamedTuple):
    number: int
    origin: "LocalBus"
    message: Message
    delivered: threading.Event


class LocalHub:
    """Where the buses of one process meet: delivers in order, on the thread of a publisher."""

    def __init__(self) -> None:
        self._members: tuple[LocalBus, ...] = ()
        self._number = 0
        self._forget()
        after_fork_in_child(self._forget)

    def _forget(self) -> None:
        # In a forked child nobody is left to deliver what another thread of the parent had posted.
        self._lock = threading.Lock()
        self._posted: collections.deque[_Posted] = collections.deque()
        self._courier: int | None = None

    def join(self, bus: "LocalBus") -> bool:
        """Let a bus hear what the others publish from now on, and return whether it did not before."""
        with self._lock:
            if bus in self._members:
                return False
            self._members = (*self._members, bus)
            return True

    def leave(self, bus: "LocalBus") -> None:
        """Let a bus hear no more."""
        with self._lock:
            self._members = tuple(member for member in self._members if member is not bus)

    def post(self, origin: "LocalBus", message: Message) -> int:
        """Deliver a message to all but its origin, and return its number.

        One thread at a time delivers, for all that publish meanwhile: so all members see one order, though
        no lock is held while they are called. A handler that publishes has its message delivered after the
        one that it is handling, when `post` has returned to it.
        """
        with self._lock:
            self._number += 1
            posted = _Posted(self._number, origin, message, threading.Event())
            self._posted.append(posted)
        while not posted.delivered.is_set() and self._courier != threading.get_ident():
            if self._become_courier():
                self._deliver()
            else:
                posted.delivered.wait(_PATIENCE)
        return posted.number

    def _become_courier(self) -> bool:
        with self._lock:
            if self._courier is not None:
                return False
            self._courier = threading.get_ident()
            return True

    def _deliver(self) -> None:
        try:
            while self._posted:
                # Taken off only when all have it: if this thread is killed on its way, the next courier
                # delivers it again, and forgetting twice is harmless.
                posted = self._posted[0]
                for member in self._members:
                    member.receive(posted.number, None if member is posted.origin else posted.message)
                self._posted.popleft()
                posted.delivered.set()
        finally:
            with self._lock:
                self._courier = None


class LocalBus:
    """Tells the other caches of this process, before `publish` returns: nothing is ever missed.

    Args:
        hub: Shared by all that are to hear one another.
        recorder: Is told of messages that could not be applied.
    """

    def __init__(self, hub: LocalHub, recorder: Recorder | None = None) -> None:
        self.trusted_until: Seconds = math.inf
        self._hub = hub
        self._handler: MessageHandler | None = None
        self._recorder = recorder or NullRecorder()
        self._applied = 0

    def start(self, handler: MessageHandler, host: HostMemory | None = None) -> None:  # noqa: ARG002
        """Listen to the others; the handler is called on the thread of whoever publishes."""
        self._handler = handler
        if self._hub.join(self):
            self._apply(handler, Message(MessageKind.JOINED))

    def wait_joined(self, timeout: Seconds) -> bool:  # noqa: ARG002 -- the protocol's signature
        """Return at once whether it was started: who has joined the hub hears everything."""
        return self._handler is not None

    def publish(self, message: Message) -> int:
        """Tell the others and return the message's number."""
        return self._hub.post(self, message)

    def applied(self) -> int:
        """Return the number of the last message heard, one's own included."""
        return self._applied

    def close(self) -> None:
        """Hear no more."""
        self._hub.leave(self)

    def receive(self, number: int, message: Message | None) -> None:
        """Take a message from the hub; `None` for one's own."""
        if message is not None and self._handler is not None:
            self._apply(self._handler, message)
        self._applied = number

    def _apply(self, handler: MessageHandler, message: Message) -> None:
        try:
            handler(message)
        except Exception as error:
            # The publisher is not to blame, and the others are still to be told. What was half forgotten
            # is forgotten as a whole; if not even that succeeds, nothing here can be trusted any more.
            detail = {"reason": f"the handler raised {error!r}"}
            self._recorder.record(Event(EventKind.BUS_GAP, detail=detail))
            try:
                handler(Message(MessageKind.GAP))
            except Exception as again:
                self.trusted_until = -math.inf
                detail = {"reason": f"the handler raised {again!r}"}
                self._recorder.record(Event(EventKind.BUS_LOST, detail=detail))
