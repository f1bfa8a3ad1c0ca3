"""The log of the Redis bus: how messages lie in a Redis Stream, and how a reader knows that it missed none.

Numbers are consecutive: message `n` has the id `n-0`. Each message has a random mark and carries the mark of
the one before it. A reader that has applied a message and then gets one that carries its mark has missed
nothing, whatever happened to the server in between: trimming, loss, a failover to a replica that had not yet
got everything and numbers on from there. The same chain binds the entries of a Raft log (Ongaro and
Ousterhout, In Search of an Understandable Consensus Algorithm, 2014, section 5.3, "Log Matching").
"""

import dataclasses
import re
import secrets
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from greencache.bus.base import Message
from greencache.errors import DecodeError

__all__ = [
    "Position",
    "Record",
    "decode_message",
    "encode_message",
    "new_mark",
    "parse_records",
    "parse_tail",
    "split",
]

_FIELDS = [b"mark", b"previous", b"origin", b"body"]
_NAMES_IN_A_MESSAGE = 500
_CHARACTERS_IN_A_MESSAGE = 16_384
"""So that the log is bounded in bytes too: mostly to some 160 MB, full of the longest keys."""
_POSITION = re.compile(rb"(\d{1,20})-(\d{1,20}) (.*)", re.DOTALL)
_decoder = msgspec.msgpack.Decoder(Message)


@dataclasses.dataclass(frozen=True, slots=True)
class Position:
    """A place in the log: everything up to it is known.

    Args:
        identifier: The id of the last message known.
        mark: Its mark.
    """

    identifier: bytes
    mark: bytes

    def as_bytes(self) -> bytes:
        """Return it as it is remembered."""
        return self.identifier + b" " + self.mark

    @classmethod
    def from_bytes(cls, text: bytes) -> "Position | None":
        """Return what was remembered; `None` if that is no position, which the server would refuse."""
        found = _POSITION.fullmatch(text)
        if found is None or max(int(found[1]), int(found[2])) >= 2**64:
            return None
        return cls(b"%b-%b" % found.group(1, 2), found[3])

    @property
    def number(self) -> int:
        """The number of the last message known."""
        return int(self.identifier.partition(b"-")[0])


class Record(NamedTuple):
    """A message as it lies in the log."""

    identifier: bytes
    mark: bytes
    previous: bytes
    origin: bytes
    body: bytes

    @property
    def position(self) -> Position:
        """Where a reader stands that has applied it."""
        return Position(self.identifier, self.mark)

    def follows(self, position: Position) -> bool:
        """Return whether it is the very next message after a position."""
        return self.previous == position.mark and self.position.number == position.number + 1


def new_mark() -> str:
    """Return a mark that no other message has."""
    return secrets.token_hex(8)


def encode_message(message: Message) -> bytes:
    """Return a message as it travels."""
    return msgspec.msgpack.encode(message)


def decode_message(body: bytes) -> Message:
    """Return a message that has travelled.

    Raises:
        DecodeError: If the bytes are none.
    """
    try:
        return _decoder.decode(body)
    except msgspec.DecodeError as error:
        raise DecodeError(f"a message on the bus cannot be read: {error}") from error


def split(message: Message) -> Iterator[Message]:
    """Yield a message in parts of a bounded size."""
    keys, stamps = list(_parts(message.keys)), list(_parts(message.stamps))
    if len(keys) + len(stamps) <= 1:
        yield message
        return
    for part in keys:
        yield dataclasses.replace(message, keys=tuple(part), stamps={})
    for part in stamps:
        # In their order: that of any tag comes first.
        yield dataclasses.replace(message, keys=(), stamps={tag: message.stamps[tag] for tag in part})


def _parts(names: Iterable[str]) -> Iterator[list[str]]:
    part: list[str] = []
    size = 0
    for name in names:
        # A character has up to four bytes; exactness matters less than speed.
        if part and (len(part) == _NAMES_IN_A_MESSAGE or size + len(name) > _CHARACTERS_IN_A_MESSAGE):
            yield part
            part, size = [], 0
        part.append(name)
        size += len(name)
    if part:
        yield part


def parse_records(reply: Any) -> list[Record]:
    """Return the messages in a reply to XREAD of one stream.

    Raises:
        DecodeError: If something else lies among them.
    """
    if not reply:
        return []
    ((_, entries),) = reply
    records = []
    for identifier, fields in entries:
        if fields[::2] != _FIELDS:
            raise DecodeError(f"expected a message of greencache on the bus, found fields {fields[::2]!r}")
        records.append(Record(identifier, *fields[1::2]))
    return records


def parse_tail(reply: Any) -> Position | None:
    """Return the end of the log from a reply of the tail script; `None` for an empty log."""
    return None if reply is None else Position(*reply)
