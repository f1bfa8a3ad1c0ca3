"""The bus over a Redis Stream: a bounded log, and a thread that reads it to its end, again and again."""

import math
import random
import secrets
import threading
from collections.abc import Callable, Iterable
from contextlib import closing

from greencache.backends.redis import RedisListener, RedisManager
from greencache.backends.redis_names import RedisNames
from greencache.bus import stream
from greencache.bus.base import HostMemory, Message, MessageHandler, MessageKind
from greencache.bus.options import check_options
from greencache.bus.place import Place
from greencache.bus.publisher import Publisher
from greencache.bus.reader import BATCH, GapError, LogReader
from greencache.bus.stream import Position, Record
from greencache.clock import Clock
from greencache.daemon import Daemon
from greencache.errors import DecodeError
from greencache.events import Event, EventKind, Recorder
from greencache.forks import after_fork_in_child
from greencache.typing import Seconds

__all__ = ["RedisBus"]

_FIRST_PAUSE: Seconds = 0.05
_LONGEST_PAUSE: Seconds = 1.0
_LONGEST_FAREWELL: Seconds = 2.0


class RedisBus:
    """Announces through a Redis Stream, and listens to it on a thread of its own.

    The first message that the handler gets has the kind `JOINED`: what was learned before the log was first
    looked at cannot be proved. The same in a forked child. `GAP` comes whenever the listener cannot prove
    that it knows all messages to the end of the log, or the host's own tiers all before the first.

    Args:
        manager: Talks to the server; not closed by the bus.
        namespace: Only caches with the same one hear each other.
        clock: The clock that `trusted_until` is read on.
        recorder: Is told of gaps, and when the server is lost and found.
        max_staleness: Seconds that hits are served after the last proof that nothing was missed, or `None`.
        heartbeat: Seconds between two proofs while nothing is announced.
        max_length: Messages that the log keeps, roughly; a listener that is farther behind has a gap.

    Raises:
        ConfigurationError: If `max_staleness` leaves no room for two heartbeats.
    """

    def __init__(
        self,
        manager: RedisManager,
        *,
        namespace: str,
        clock: Clock,
        recorder: Recorder,
        max_staleness: Seconds | None = 2.0,
        heartbeat: Seconds = 0.5,
        max_length: int = 10_000,
    ) -> None:
        check_options(heartbeat, max_staleness, max_length)
        self._manager = manager
        self._name = RedisNames(namespace).bus
        self._clock = clock
        self._recorder = recorder
        self._max_staleness = max_staleness
        self._heartbeat = heartbeat
        self._publisher = Publisher(manager, self._name, max_length)
        self._handler: MessageHandler | None = None
        self._host: HostMemory | None = None
        self._daemon = Daemon("greencache-bus")
        self._reset()
        after_fork_in_child(self._reset)

    def _reset(self) -> None:
        """Begin anew, in a forked child too: there is no thread in it, and its origin must be its own."""
        self._connection: RedisListener | None = None
        self._origin = secrets.token_hex(8).encode()
        self._place = Place(self._clock)
        self._has_missed = False
        self._is_lost = False
        self._pause = _FIRST_PAUSE
        self.trusted_until: Seconds = -math.inf

    # -- for everybody ---------------------------------------------------------------------------------

    def start(self, handler: MessageHandler, host: HostMemory | None = None) -> None:
        """Begin to listen; the handler is called from the listener's thread.

        Costs next to nothing when the listener runs, and starts it anew in a forked child. Not done right
        after the fork, since many children never use the cache; until then the child trusts nothing, so
        whoever finds `trusted_until` in the past may simply call this.
        """
        self._handler = handler
        self._host = host
        self._ensure_listening()

    def _ensure_listening(self) -> None:
        if self._handler is None:
            return
        error = self._daemon.start(self._listen)
        if error is not None:
            # Nothing is trusted until a later call has got a thread.
            self._note_lost(error)

    def publish(self, message: Message) -> int:
        """Announce a message to all others, and return its number.

        A command that is sent twice, or arrives late, announces twice or late: that forgets once more.

        Raises:
            TierUnavailableError: If it could not be announced, or not as a whole.
        """
        self._ensure_listening()
        return self._publisher.publish(message, self._origin)

    def applied(self) -> int:
        """Return the number up to which all messages are applied, one's own included."""
        return self._place.number

    def wait_applied(self, number: int, timeout: Seconds) -> bool:
        """Wait until all is applied up to what a `publish` has returned, and return whether it is."""
        return self._wait_for(lambda: self._place.number >= number, timeout)

    def wait_joined(self, timeout: Seconds) -> bool:
        """Wait until the listener has reached the end of the log once, and return whether it has."""
        return self._wait_for(lambda: self.trusted_until > -math.inf, timeout)

    def _wait_for(self, is_so: Callable[[], bool], timeout: Seconds) -> bool:
        self._ensure_listening()
        return self._place.wait_for(is_so, timeout)

    def at(self, moment: Seconds) -> Position | None:
        """Return how far all was applied at a moment; `None` if that was not known yet."""
        return self._place.at(moment)

    def has(self, position: Position) -> bool:
        """Ask the server whether its log still has what lies at a position.

        Raises:
            TierUnavailableError: If it does not answer.
        """
        with closing(self._manager.open_listener(2 * self._heartbeat, self._name)) as connection:
            return LogReader(connection, self._name, self._heartbeat).reaches_back_to(position)

    def close(self) -> None:
        """Stop listening; waits for a message that is being applied, but not for a heartbeat."""
        self._daemon.close(_LONGEST_FAREWELL, self._interrupt)
        self.trusted_until = -math.inf

    def _interrupt(self) -> None:
        if self._connection is not None:
            self._connection.close()

    # -- for the listener's thread ---------------------------------------------------------------------

    def _listen(self, stop: threading.Event) -> None:
        handler = self._handler
        assert handler is not None  # noqa: S101 -- nobody begins without one
        while not stop.is_set():
            try:
                with closing(self._manager.open_listener(2 * self._heartbeat, self._name)) as connection:
                    # Seen by close() before `stop` is looked at: one of the two notices the other.
                    self._connection = connection
                    reader = LogReader(connection, self._name, self._heartbeat)
                    while not stop.is_set():
                        self._advance(reader, handler)
            except Exception as error:
                if stop.is_set():
                    return
                # Whatever it is, this thread is the only one that can mend it, by trying again. Trust needs
                # no revoking here: it lapses by itself while nothing is confirmed.
                self._note_lost(error)
            stop.wait(self._pause * random.uniform(0.5, 1.0))  # noqa: S311 -- spreads load
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _advance(self, reader: LogReader, handler: MessageHandler) -> None:
        """Apply what has come since the last time, and confirm that this is all, if it is."""
        position = self._place.position
        if position is None:
            position = self._begin(reader, handler)
        sent = self._clock.now()
        try:
            records = reader.after(position)
            self._apply(records, handler)
        except (GapError, DecodeError) as error:
            self._note_gap(str(error))
            return
        if records:
            self._remember(records[-1].position)
        if not records:
            self._confirm_end(reader, position)
        elif len(records) < BATCH:
            # The server looked after `sent`, and gave all it had: what was announced before is applied.
            self._confirm(sent)

    def _begin(self, reader: LogReader, handler: MessageHandler) -> Position:
        """Go to the end of the log, forget what was learned before, and trust what is learned from now on.

        The end comes first: what is announced after it is looked at will be read, and what was announced
        before is forgotten with everything else.
        """
        position = self._recall(reader)
        if position is not None:
            handler(Message(MessageKind.JOINED))
            # Trusted only when all that came since has been read and applied.
            self._place.move_to(position)
            return position
        sent = self._clock.now()
        position = reader.tail()
        if position is None:
            # An empty log has no mark, so its loss could not be noticed: say something harmless first.
            self.publish(Message(MessageKind.DROP))
            position = reader.tail()
        if position is None:
            raise DecodeError("a message was published and is not on the bus")
        is_provable = self._host is None and not self._has_missed
        handler(Message(MessageKind.JOINED if is_provable else MessageKind.GAP))
        self._has_missed = False
        self._remember(position)
        self._place.move_to(position)
        self._confirm(sent)
        return position

    def _recall(self, reader: LogReader) -> Position | None:
        """Return where the host's own tiers are, if that is known and the log still reaches back to it."""
        remembered = self._host.recall() if self._host is not None and not self._has_missed else None
        position = Position.from_bytes(remembered) if remembered else None
        return position if position is not None and reader.reaches_back_to(position) else None

    def _remember(self, position: Position) -> None:
        if self._host is not None:
            self._host.remember(position.as_bytes())

    def _apply(self, records: Iterable[Record], handler: MessageHandler) -> None:
        for record in records:
            place = self._place.position
            if place is None or not record.follows(place):
                raise GapError(f"message {record.position.number} does not follow on {self._place.number}")
            if record.origin != self._origin:
                try:
                    handler(stream.decode_message(record.body))
                except Exception as error:
                    # Half applied, or not at all: nobody can say what would have to be forgotten.
                    raise GapError(f"message {record.position.number} was not applied: {error!r}") from error
            self._place.move_to(record.position)

    def _confirm_end(self, reader: LogReader, position: Position) -> None:
        """Prove that the log still ends here; silence alone could be that of a lost or shorter one."""
        sent = self._clock.now()
        tail = reader.tail()
        if tail == position:
            self._confirm(sent)
        elif tail is None or tail.number <= position.number:
            self._note_gap(f"the log ends before message {position.number}, which was read from it")
        # Else something has come since, and the next read brings it.

    def _confirm(self, sent: Seconds) -> None:
        """Trust for `max_staleness` from the moment of asking, not of the answer, which may be an old one."""
        self._pause = _FIRST_PAUSE
        self.trusted_until = math.inf if self._max_staleness is None else sent + self._max_staleness
        self._place.tell()
        if self._is_lost:
            self._is_lost = False
            self._recorder.record(Event(EventKind.BUS_BACK))

    def _note_gap(self, reason: str) -> None:
        self.trusted_until = -math.inf
        self._place.lose()
        self._has_missed = True
        self._recorder.record(Event(EventKind.BUS_GAP, detail={"reason": reason}))

    def _note_lost(self, error: Exception) -> None:
        if not self._is_lost:
            self._is_lost = True
            self._recorder.record(Event(EventKind.BUS_LOST, detail={"reason": repr(error)}))
