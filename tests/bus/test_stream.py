"""How messages lie in the log."""

import pytest

from greencache.bus.base import Message, MessageKind
from greencache.bus.stream import (
    Position,
    Record,
    decode_message,
    encode_message,
    new_mark,
    parse_records,
    parse_tail,
    split,
)
from greencache.errors import DecodeError


def record(number, mark, previous):
    """Return a message in the log."""
    return Record(f"{number}-0".encode(), mark, previous, b"origin", b"body")


def test_a_record_follows_only_on_its_predecessor():
    """Both the number and the mark of the one before must fit."""
    position = Position(b"7-0", b"seven")
    assert record(8, b"eight", b"seven").follows(position)
    assert not record(9, b"nine", b"seven").follows(position)
    assert not record(8, b"eight", b"another").follows(position)
    assert record(8, b"eight", b"seven").position == Position(b"8-0", b"eight")


def test_a_position_is_remembered_as_it_is():
    """A mark may hold anything."""
    for position in (Position(b"7-0", b"seven"), Position(b"7-0", b"\xff a b"), Position(b"0-0", b"")):
        assert Position.from_bytes(position.as_bytes()) == position


@pytest.mark.parametrize(
    "text",
    [b"", b" ", b"not-a-position x", b"7 x", b"7-0", b"-7-0 x", b"7-x x", b"7-0-0 x", b"+ x", b"- x",
     b"18446744073709551616-0 x", b"9" * 9_999 + b"-0 x", "\u0667-\u0660 x".encode(), b"\xff", b"7-0\nx"],
)  # fmt: skip
def test_what_is_no_position_is_none(text):
    """Somebody else may have written it, and the server would refuse it whenever it is asked for."""
    assert Position.from_bytes(text) is None


def test_numbers_of_foreign_entries_are_read_too():
    """Somebody may have added to the stream by hand."""
    assert Position(b"1700000000000-5", b"x").number == 1_700_000_000_000


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b"\x80", b"\xa1x", b'{"kind":"drop"}', encode_message(Message(MessageKind.GAP))[:-1]],
)
def test_what_is_no_message_is_an_error_of_ours(body):
    """Whatever lies in the log."""
    with pytest.raises(DecodeError):
        decode_message(body)


def test_a_message_of_a_kind_from_the_future_is_an_error_of_ours():
    """An older process does not guess what a newer one means."""
    body = encode_message(Message(MessageKind.DROP)).replace(b"\xa4drop", b"\xa4DROP")
    with pytest.raises(DecodeError):
        decode_message(body)


def test_replies_are_parsed():
    """As Redis sends them."""
    fields = [b"mark", b"m", b"previous", b"p", b"origin", b"o", b"body", b"b"]
    assert parse_records(None) == []
    assert parse_records([[b"log", [[b"8-0", fields]]]]) == [Record(b"8-0", b"m", b"p", b"o", b"b")]
    with pytest.raises(DecodeError):
        parse_records([[b"log", [[b"8-0", fields[2:]]]]])
    assert parse_tail(None) is None
    assert parse_tail([b"8-0", b"m"]) == Position(b"8-0", b"m")


def test_only_keys_are_split():
    """A message without keys is one message."""
    stamps = Message(MessageKind.STAMP, stamps={"": "s"})
    assert list(split(stamps)) == [stamps]
    parts = list(split(Message(MessageKind.DROP, keys=tuple(map(str, range(501))))))
    assert [len(part.keys) for part in parts] == [500, 1]


def test_marks_do_not_repeat():
    """Two messages never look alike."""
    assert len({new_mark() for _ in range(1_000)}) == 1_000
