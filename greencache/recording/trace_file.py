"""The file that accesses are recorded in: buffered, bounded, one for each process."""

import collections
import hashlib
import math
import os
import pathlib
import secrets
import threading
from collections.abc import Callable
from typing import Final, NamedTuple

from greencache.recording.lines import header, line_of
from greencache.typing import Key, Seconds

__all__ = ["BUFFERED", "Access", "TraceFile"]

BUFFERED: Final = 1024
"""Accesses that may be in memory: what a process that is killed loses of its recording."""
_MOST_WAITING: Final = 65_536


class Access(NamedTuple):
    """One access, to be written.

    Args:
        key: To what.
        time: When, in seconds of the cache's clock.
        size: Bytes that the entry takes in L1; 0 when unknown.
        ttl: Seconds for which it was fresh when it was stored; infinite for ever.
        cost: Seconds that loading it took; 0 when unknown.
    """

    key: Key
    time: Seconds
    size: int = 0
    ttl: Seconds = math.inf
    cost: Seconds = 0.0


class TraceFile:
    """Writes accesses as lines of JSON.

    Whoever brings the buffered accesses to `BUFFERED` writes them, by one call of the system and into the
    page cache; all others go on. If writers are so slow that 65,536 wait, further ones are not recorded.

    Args:
        path: Where; the number of the process is put before the ending, and what is there is replaced.
        hash_keys: Whether to write keyed hashes instead of keys. The secret is made here and kept nowhere:
            the same key is the same hash in this file, and means nothing in any other.
        max_size: Bytes after which nothing more is written.
        on_ended: Is told why nothing more is written, once.

    Raises:
        OSError: If the file cannot be made.
    """

    def __init__(
        self, path: pathlib.Path, *, hash_keys: bool, max_size: int, on_ended: Callable[[str], object]
    ) -> None:
        self.path = path.with_name(f"{path.stem}.{os.getpid()}{path.suffix}")
        self._secret = secrets.token_bytes(16) if hash_keys else None
        self._left = max_size
        self._on_ended = on_ended
        # Appends and pops of a deque are atomic: with the interpreter lock, and by its own lock in
        # free-threaded builds. So no access is lost between who adds and who writes.
        self._waiting: collections.deque[Access] = collections.deque()
        self._writing = threading.Lock()
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(self.path, flags, 0o600)
        self._write(header())

    def add(self, access: Access) -> None:
        """Note an access; does not fail."""
        if self._left > 0 and len(self._waiting) < _MOST_WAITING:
            self._waiting.append(access)
            if len(self._waiting) >= BUFFERED:
                self.flush()

    def flush(self) -> None:
        """Write what is buffered, unless somebody is at it; does not fail."""
        # Held while writing, which no other lock is: nobody ever waits for this one.
        if not self._writing.acquire(blocking=False):
            return
        reason = ""
        try:
            reason = self._write_waiting()
        except OSError as error:
            self._left, reason = 0, f"{type(error).__name__}: {error}"
        finally:
            self._writing.release()
        if reason:
            self._waiting.clear()
            self._on_ended(reason)

    def close(self) -> None:
        """Write what is buffered, and nothing more; may be called twice."""
        self.flush()
        self._left = 0
        self.abandon()

    def abandon(self) -> None:
        """Give the file back without writing what is buffered: it is another process's."""
        self._waiting.clear()
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def _write_waiting(self) -> str:
        """Write, and return why nothing more will be written, if so."""
        if self._left <= 0 or self._file < 0:
            return ""
        lines: list[bytes] = []
        # As many as there are now: others may add as fast as this takes away.
        for _ in range(len(self._waiting)):
            line = self._line(self._waiting.popleft())
            self._left -= len(line)
            if self._left < 0:
                break
            lines.append(line)
        self._write(b"".join(lines))
        return "" if self._left > 0 else "it has reached its size"

    def _line(self, access: Access) -> bytes:
        ttl = None if math.isinf(access.ttl) else round(access.ttl, 6)
        return line_of(
            self._name(access.key),
            time=round(access.time, 6),
            size=access.size or None,
            ttl=ttl,
            cost=round(access.cost, 9) or None,
        )

    def _name(self, key: Key) -> str:
        if self._secret is None:
            return key
        # With lone surrogates it is still a key.
        name = key.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(name, digest_size=10, key=self._secret).hexdigest()

    def _write(self, data: bytes) -> None:
        # A disk that is nearly full may take only a part.
        while data:
            data = data[os.write(self._file, data) :]
