"""One direction of one connection."""

import collections
import contextlib
import math
import socket
import ssl
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from greencache.testing.proxy.frames import split_frames
from greencache.testing.proxy.traffic import FIN, RST, Cut, Ending, Traffic
from greencache.typing import Seconds

__all__ = ["NOT_NOW", "Stream"]

NOT_NOW: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
"""How sockets that do not block say that they have nothing, or take nothing, for now."""

_PIECE = 65_536
_MOST_WAITING = 1 << 20  # bytes; a sender of more is held back, as the kernel would hold it back


class _Piece(NamedTuple):
    due: Seconds
    latency: Seconds | Callable[[], Seconds]  # as it was when the piece came
    data: bytes


class Stream:
    """Takes bytes from one socket and gives them to another as the faults of the moment want it.

    Used by one thread. Neither socket blocks.

    Args:
        traffic: The faults.
        source: Where bytes come from.
        sink: Where they go.
    """

    def __init__(self, traffic: Traffic, source: socket.socket, sink: socket.socket) -> None:
        self.source = source
        self.sink = sink
        self.is_blocked = False  # the sink takes nothing just now
        self.ending: Ending | None = None  # how the source has ended
        self._traffic = traffic
        self._waiting: collections.deque[_Piece] = collections.deque()
        self._ready = bytearray()  # what may pass
        self._partial = b""  # of a message that has not come whole
        self._passed = 0
        self._last = (-math.inf, 0)  # when something passed, and how much
        self._cut: Cut | None = None
        self._cut_at = 0

    @property
    def wants_more(self) -> bool:
        """Whether the source is to be read."""
        return self.ending is None and self._size() < _MOST_WAITING

    @property
    def is_over(self) -> bool:
        """Whether the source has ended, and that may be told to the sink."""
        return self.ending is not None and not self._ready and not self._waiting and not self._traffic.stalled

    def take(self) -> None:
        """Read what the source has."""
        while self.wants_more:
            try:
                data = self.source.recv(_PIECE)
            except NOT_NOW:
                return
            except OSError:
                self._end(RST)
            else:
                if data:
                    self._keep(self._rewritten(data))
                else:
                    self._end(FIN)

    def give(self) -> Ending | None:
        """Pass on what is due, and return how the connection is to be ended when it is to be cut now."""
        self.is_blocked = False
        traffic = self._traffic
        if traffic.stalled:
            return None
        self._collect()
        while self._ready:
            size = min(len(self._ready), self._allowance())
            if size == 0:
                return None
            cut = self._cut_before(size)
            sent = self._send(size if cut is None else self._cut_at - self._passed)
            if cut is not None and self._passed >= self._cut_at and traffic.use_up(cut):
                return cut.by
            if sent < size:
                return None
            if traffic.chunk_size is not None:
                return None  # others get their turn, so that pieces stay pieces
        return None

    def seconds_to_wait(self) -> Seconds | None:
        """Return after how many seconds there will be something to pass on; `None` when nobody knows."""
        if self._traffic.stalled or self.is_blocked:
            return None
        if self._ready:
            return max(0.0, self._next_turn() - time.monotonic())
        if self._waiting:
            return max(0.0, self._waiting[0].due - time.monotonic())
        return None

    # -- coming

    def _rewritten(self, data: bytes) -> bytes:
        rewrite = self._traffic.rewrite
        data, self._partial = self._partial + data, b""
        if rewrite is None:
            return data
        if not self._traffic.framed:
            return rewrite(data)
        frames, self._partial = split_frames(data)
        return b"".join(map(rewrite, frames))

    def _end(self, ending: Ending) -> None:
        self.ending = ending
        self._keep(self._partial)

    def _keep(self, data: bytes) -> None:
        if not data:
            return
        traffic, now = self._traffic, time.monotonic()
        if traffic.glue and self._waiting:
            due = self._waiting[-1].due
        else:
            due = now + traffic.delay() + traffic.glue
        self._waiting.append(_Piece(due, traffic.latency, data))

    def _collect(self) -> None:
        now, latency = time.monotonic(), self._traffic.latency
        while self._waiting and (self._waiting[0].due <= now or self._waiting[0].latency != latency):
            self._ready += self._waiting.popleft().data

    def _size(self) -> int:
        return len(self._ready) + sum(len(piece.data) for piece in self._waiting)

    # -- going

    def _next_turn(self) -> Seconds:
        """Return when the next byte may pass at this rate."""
        when, size = self._last
        return when + size / self._traffic.rate

    def _allowance(self) -> int:
        """Return how many bytes may pass at once now."""
        rate, chunk = self._traffic.rate, self._traffic.chunk_size
        if rate == math.inf:
            return chunk or _PIECE
        if self._next_turn() > time.monotonic():
            return 0
        return min(chunk or _PIECE, max(1, int(rate / 50)))

    def _cut_before(self, size: int) -> Cut | None:
        """Return the cut that falls into the next bytes."""
        cut = self._traffic.cut
        if cut is not self._cut:
            self._cut = cut
            self._cut_at = self._passed + cut.after if cut is not None else 0
        return cut if cut is not None and self._cut_at <= self._passed + size else None

    def _send(self, size: int) -> int:
        if size == 0:
            return 0
        sent = 0
        self._traffic.count(size)  # before it is sent: who has got a reply finds it counted
        try:
            sent = self.sink.send(self._ready[:size])
        except NOT_NOW:
            self.is_blocked = True
        self._traffic.count(sent - size)
        del self._ready[:sent]
        self._passed += sent
        self._last = (time.monotonic(), sent)
        return sent

    def end_sink(self) -> None:
        """Tell the sink that nothing more comes."""
        with contextlib.suppress(OSError):  # it may have gone itself
            self.sink.shutdown(socket.SHUT_WR)
