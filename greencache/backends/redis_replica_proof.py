"""How new what a replica answers is, told by positions in the primary's history of writes.

A primary counts the bytes that it sends to its replicas, and each of these the bytes that it has applied.
Where both name the same history, a replica whose count has reached the primary's has every write that the
primary had acknowledged before its count was asked for (Redis documentation, "How Redis replication works").
"""

import collections
import re
from typing import Any, Final, NamedTuple

from greencache.backends.redis_protocol import pack
from greencache.backends.redis_slots import Place
from greencache.typing import Seconds

__all__ = ["POSITION", "Position", "Sample", "Samples", "position_of", "sample_of"]

POSITION: Final = pack((b"INFO", b"replication"))
"""What primaries and replicas are asked."""
_MOST_SAMPLES: Final = 8

_FIELD = re.compile(
    rb"^(role|master_link_status|master_replid|master_repl_offset|slave_repl_offset):([^\r\n]*)", re.MULTILINE
)
_ONLINE = re.compile(rb"^slave[0-9]+:ip=([^,\r\n]+),port=([0-9]+),state=online,", re.MULTILINE)


class Position(NamedTuple):
    """How far a server is in a history of writes."""

    history: bytes
    offset: int

    def has(self, other: "Position") -> bool:
        """Return whether it has all that another one had; of another history nothing is known."""
        return self.history == other.history and self.offset >= other.offset


class Sample(NamedTuple):
    """Where a primary was.

    Args:
        since: When it was asked: whatever it had acknowledged by then is part of the position.
        position: Where it was.
        replicas: Who followed it.
    """

    since: Seconds
    position: Position
    replicas: tuple[Place, ...]


class Samples:
    """The last samples of a primary; safe to read while another thread adds one."""

    def __init__(self) -> None:
        self._samples: collections.deque[Sample] = collections.deque(maxlen=_MOST_SAMPLES)

    @property
    def newest(self) -> Sample | None:
        """The last one."""
        return self._samples[-1] if self._samples else None

    def add(self, sample: Sample) -> None:
        """Add one; an older one than the newest, which a slower thread brings, tells nothing new."""
        newest = self.newest
        if newest is None or newest.since < sample.since:
            self._samples.append(sample)

    def proved(self, position: Position) -> Seconds | None:
        """Return since when writes may be missing at a position; `None` if that is not known."""
        samples = tuple(self._samples)
        if not samples or samples[-1].position.history != position.history:
            return None  # there is another primary by now, or the replica follows one that is none any more
        return max((each.since for each in samples if position.has(each.position)), default=None)


def sample_of(reply: Any, since: Seconds) -> Sample | None:
    """Return what a primary's reply says, or `None` if it is no primary's."""
    fields = _fields(reply)
    if fields.get(b"role") != b"master" or not {b"master_replid", b"master_repl_offset"} <= fields.keys():
        return None
    position = Position(fields[b"master_replid"], int(fields[b"master_repl_offset"]))
    followers = tuple((host.decode(), int(port)) for host, port in _ONLINE.findall(reply))
    return Sample(since, position, followers)


def position_of(reply: Any) -> Position | None:
    """Return where a replica is, or `None` if it does not follow a primary just now."""
    fields = _fields(reply)
    if fields.get(b"role") != b"slave" or fields.get(b"master_link_status") != b"up":
        return None
    if not {b"master_replid", b"slave_repl_offset"} <= fields.keys():
        return None
    return Position(fields[b"master_replid"], int(fields[b"slave_repl_offset"]))


def _fields(reply: Any) -> dict[bytes, bytes]:
    return dict(_FIELD.findall(reply)) if isinstance(reply, bytes) else {}
