"""A thread that listens to the outbox, in one process of the fleet."""

import contextlib
import functools
import random
import threading

from greencache.backends.postgres import PostgresManager
from greencache.backends.postgres_outbox import Outbox
from greencache.backends.postgres_outbox_session import OutboxSession
from greencache.clock import Clock
from greencache.daemon import Daemon
from greencache.errors import ConfigurationError
from greencache.events import Event, EventKind, Recorder
from greencache.forks import after_fork_in_child
from greencache.options import check_duration
from greencache.outbox.base import ChangeSink
from greencache.outbox.reader import OutboxReader
from greencache.typing import Seconds

__all__ = ["OutboxListener"]

_FIRST_PAUSE: Seconds = 0.05
_IDLE = 5
"""How many times less often is looked where no table is watched."""
_SWEEP_EVERY: Seconds = 60.0
_COLLAPSE_AFTER: Seconds = 86_400.0
_HUNG_AFTER: Seconds = 30.0
"""Longer than a live leader is silent, though tiers that time out may keep it busy for a while."""
_LONGEST_TURN: Seconds = 60.0
_LONGEST_FAREWELL: Seconds = 2.0
_LAGS_FROM: Seconds = 10.0


class OutboxListener:
    """Hands what the database announces to the cache, once for the whole fleet.

    In each process a thread asks once in `poll_interval` whether anybody listens. Nobody does if the lock is
    free; then it takes the lock, on a connection of its own, and listens until that connection ends. The
    others do nothing. LISTEN only wakes: what is done is what stands in the outbox. Behind a pooler, where no
    lock and no LISTEN lasts, each look is a transaction of its own that holds the lock.

    Args:
        manager: Talks to the server; not closed by the listener.
        namespace: Whose announcements.
        clock: Where the time comes from.
        recorder: Is told when the database is lost and found, and when announcements come late.
        poll_interval: Seconds between two looks while nothing wakes it.

    Raises:
        ConfigurationError: If `poll_interval` is no positive time.
    """

    def __init__(
        self,
        manager: PostgresManager,
        *,
        namespace: str,
        clock: Clock,
        recorder: Recorder,
        poll_interval: Seconds = 1.0,
    ) -> None:
        if not check_duration("poll_interval", poll_interval) > 0:
            raise ConfigurationError(f"expected poll_interval to be positive, got {poll_interval}")
        self._outbox = Outbox(manager, namespace)
        self._clock = clock
        self._recorder = recorder
        self._poll_interval = poll_interval
        self._daemon = Daemon("greencache-outbox")
        self._session: OutboxSession | None = None
        self._reset()
        after_fork_in_child(self._reset)

    def _reset(self) -> None:
        """Begin anew, in a forked child too: it has no thread, and the parent's connection is not its own."""
        if self._session is not None:
            self._session.abandon()
        self._session = None
        self._role = "off"
        self._lag: Seconds = 0.0
        self._heard: Seconds | None = None
        self._reader: OutboxReader | None = None
        self._is_pooled = False
        self._is_lost = False
        self._is_late = False
        self._pause = _FIRST_PAUSE

    # -- for everybody ---------------------------------------------------------------------------------

    def start(self, sink: ChangeSink) -> None:
        """Begin to listen; costs next to nothing when the thread runs, and starts it in a forked child."""
        error = self._daemon.start(functools.partial(self._run, sink))
        if error is not None:
            self._note_lost(error)

    def state(self) -> dict[str, object]:
        """Return how this process's listener is doing.

        `role` is leader, follower, idle (no table is watched), lost, or off; `position` the last row that it
        has read as the leader; `lag` how many seconds the oldest announcement had waited at the last look,
        and `heard` how many seconds ago that was; `owes` whether rows are kept for a tier out of reach.
        """
        reader, heard = self._reader, self._heard
        return {
            "role": self._role,
            "is_polling": self._is_pooled,
            "position": reader.number if reader else 0,
            "read": reader.count if reader else 0,
            "owes": reader.owes if reader else False,
            "lag": self._lag,
            "heard": None if heard is None else self._clock.now() - heard,
        }

    def close(self) -> None:
        """Stop listening; waits for announcements that are being applied, but for no others."""
        self._daemon.close(_LONGEST_FAREWELL, self._interrupt)

    def _interrupt(self) -> None:
        if self._session is not None:
            self._session.interrupt()

    # -- for the thread --------------------------------------------------------------------------------

    def _run(self, sink: ChangeSink, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                pause = self._take_turn(sink, stop)
            except Exception as error:
                if stop.is_set():
                    break
                # Whatever it is, this thread is the only one here that can mend it, by trying again.
                self._note_lost(error)
                pause = self._pause = min(2 * self._pause, self._poll_interval)
            # Spread, so that not all processes of a fleet ask at the same time.
            stop.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311
        self._role = "off"

    def _take_turn(self, sink: ChangeSink, stop: threading.Event) -> Seconds:
        """Look what there is to do, do it, and return how long to wait before the next look."""
        probe = self._outbox.probe()
        self._note_heard("follower" if probe.is_wanted else "idle", probe.lag)
        if not probe.is_wanted:
            return self._poll_interval * _IDLE
        if self._is_pooled:
            self._read_once(sink)
        elif probe.is_free:
            with contextlib.closing(self._outbox.open(self._outbox.manager.timeout)) as session:
                if session.is_pooled:
                    self._note_pooled()
                elif session.lead():
                    self._lead(session, sink, stop)
        elif probe.lag > _HUNG_AFTER:
            self._outbox.end_hung(_HUNG_AFTER)
        return self._poll_interval

    def _read_once(self, sink: ChangeSink) -> None:
        """Read as the leader for one transaction, unless another process does so."""
        reader = self._reader or OutboxReader(self._outbox, sink, self._clock)
        # Others may have read since: what they have left is found from the beginning.
        reader.restart()
        with self._outbox.manager.transaction(_LONGEST_TURN) as session:
            if self._outbox.is_ours(session):
                self._reader = reader
                reader.read(session)
                self._note_heard("leader", reader.lag)

    def _lead(self, session: OutboxSession, sink: ChangeSink, stop: threading.Event) -> None:
        """Read whatever comes, until the connection ends."""
        # Seen by close() before `stop` is looked at: one of the two notices the other.
        self._session = session
        reader = self._reader = OutboxReader(self._outbox, sink, self._clock)
        sweep_at = self._clock.now()
        try:
            while not stop.is_set():
                if self._clock.now() >= sweep_at:
                    # Nothing is ever left behind; but if it were, for whatever reason, it would be found now.
                    reader.restart()
                    self._outbox.collapse(session.session, _COLLAPSE_AFTER)
                    sweep_at = self._clock.now() + _SWEEP_EVERY
                reader.read(session.session)
                self._note_heard("leader", reader.lag)
                session.wait(self._poll_interval)
        finally:
            self._session = None

    def _note_heard(self, role: str, lag: Seconds) -> None:
        self._role, self._lag, self._heard = role, lag, self._clock.now()
        self._pause = _FIRST_PAUSE
        was_late, self._is_late = self._is_late, lag > _LAGS_FROM
        if self._is_late and not was_late:
            self._recorder.record(Event(EventKind.OUTBOX_LATE, detail={"seconds": round(lag, 3)}))
        if self._is_lost:
            self._is_lost = False
            self._recorder.record(Event(EventKind.OUTBOX_BACK))

    def _note_lost(self, error: Exception) -> None:
        self._role = "lost"
        if not self._is_lost:
            self._is_lost = True
            self._recorder.record(Event(EventKind.OUTBOX_LOST, detail={"reason": repr(error)}))

    def _note_pooled(self) -> None:
        self._is_pooled = True
        detail = {"reason": f"LISTEN through a pooler hears nothing: polled each {self._poll_interval:g} s"}
        self._recorder.record(Event(EventKind.FEATURE_MISSING, detail=detail))
