"""What is asked of L1, access by access."""

import os
import pathlib
import weakref
from collections.abc import Iterable
from typing import Final

from greencache.clock import Clock, SystemClock
from greencache.entry import Entry
from greencache.errors import ConfigurationError
from greencache.events import Event, EventKind, NullRecorder, Recorder
from greencache.forks import after_fork_in_child
from greencache.recording.trace_file import Access, TraceFile
from greencache.typing import CacheTier, Key

__all__ = ["AccessLog"]

_MOST_MISSED: Final = 10_000
_SPARE_FACTS: Final = 1_000


class AccessLog:
    """Records accesses in a trace that `greencache simulate` reads.

    A hit is written with what is known of its entry. A miss is written when what was loaded is stored, so
    that the trace tells its size, ttl and cost; one after which nothing is stored, when 10,000 wait or the
    log is closed. Nothing here can make a read fail: if the file cannot be written any more, or has
    reached its size, recording ends, and an event says so.

    What is lost: if the process is killed, its last 1,024 accesses and the misses that wait. Of two threads
    that miss a key at once, one miss. A forked child records in a file of its own, from its next access on.

    Args:
        path: The file; the number of the process is put before its ending, so that processes do not mix.
        hash_keys: Whether to write keyed hashes instead of keys.
        max_size: Bytes after which nothing more is written.
        clock: Where the time comes from.
        recorder: Is told when recording has ended before its time.

    Raises:
        ConfigurationError: If the file cannot be made.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        hash_keys: bool = True,
        max_size: int = 100_000_000,
        clock: Clock | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self._path = pathlib.Path(path)
        self._hash_keys = hash_keys
        self._max_size = max_size
        self._now = (clock or SystemClock()).now
        self._recorder = recorder or NullRecorder()
        self._missed: dict[Key, None] = {}
        self._facts: dict[Key, Access] = {}
        try:
            self._open()
        except OSError as error:
            raise ConfigurationError(f"expected to record accesses in {path}, got {error}") from error
        after_fork_in_child(self._reset_after_fork)

    def _open(self) -> None:
        recorder = self._recorder

        def tell(reason: str) -> None:
            recorder.record(Event(EventKind.RECORDING_ENDED, CacheTier.L1, detail={"reason": reason}))

        self._file = TraceFile(self._path, hash_keys=self._hash_keys, max_size=self._max_size, on_ended=tell)
        # Also at the end of the interpreter, if nobody closes the cache.
        self._closing = weakref.finalize(self, self._file.close)

    def _reset_after_fork(self) -> None:
        # What the parent has buffered is the parent's to write.
        self._closing.detach()
        self._file.abandon()
        self._missed.clear()
        try:
            self._open()
        except OSError as error:
            reason = f"no file after a fork: {error}"
            self._recorder.record(Event(EventKind.RECORDING_ENDED, CacheTier.L1, detail={"reason": reason}))

    @property
    def path(self) -> pathlib.Path:
        """The file of this process."""
        return self._file.path

    def hit(self, key: Key) -> None:
        """Note that an entry was served."""
        now = self._now()
        facts = self._facts.get(key)
        self._file.add(Access(key, now) if facts is None else facts._replace(time=now))

    def looked(self, keys: Iterable[Key], found: Iterable[Key]) -> None:
        """Note a look for keys, of which some were found."""
        there = set(found)
        for key in keys:
            if key in there:
                self.hit(key)
                continue
            self._missed[key] = None
            if len(self._missed) > _MOST_MISSED:
                self._write_missed(_MOST_MISSED // 2)

    def stored(self, key: Key, entry: Entry, size: int) -> None:
        """Note what is known of an entry that comes in."""
        now = self._now()
        facts = Access(key, now, size, entry.fresh_until - now, entry.cost)
        self._facts[key] = facts
        # Nobody else can take it between the two: a pop is atomic.
        if self._missed.pop(key, facts) is None:
            self._file.add(facts)

    def forget_all_but(self, keys: "dict[Key, Entry]") -> None:
        """Forget what is known of entries that have gone, once there are many."""
        if len(self._facts) > 2 * len(keys) + _SPARE_FACTS:
            for key in [key for key in list(self._facts) if key not in keys]:
                self._facts.pop(key, None)

    def flush(self) -> None:
        """Write what is buffered; misses still wait for what they load."""
        self._file.flush()

    def close(self) -> None:
        """Write everything, and record nothing more; may be called twice."""
        self._write_missed(len(self._missed))
        self._closing()

    def _write_missed(self, count: int) -> None:
        now = self._now()
        for key in list(self._missed)[:count]:
            if self._missed.pop(key, now) is None:
                self._file.add(Access(key, now))
