"""Promises of the splitter of Redis messages."""

import pytest

from greencache.testing.proxy import FrameError, split_frames

FRAMES = [
    b"+OK\r\n",
    b"-ERR no\r\n",
    b":-1\r\n",
    b"$-1\r\n",
    b"*-1\r\n",
    b"$0\r\n\r\n",
    b"$4\r\na\r\nb\r\n",
    b"*2\r\n$1\r\na\r\n*1\r\n:1\r\n",
    b"*0\r\n",
    b"_\r\n",
    b"#t\r\n",
    b",1.5\r\n",
    b"(123456789012345678901234567890\r\n",
    b"!3\r\nERR\r\n",
    b"=5\r\ntxt:a\r\n",
    b"%1\r\n+a\r\n*1\r\n:1\r\n",
    b"~1\r\n+a\r\n",
    b">2\r\n+message\r\n+x\r\n",
    b"|1\r\n+ttl\r\n:1\r\n$1\r\na\r\n",
]


@pytest.mark.parametrize("frame", FRAMES)
def test_a_message_is_whole_only_at_its_last_byte(frame):
    """Every kind of message of RESP2 and RESP3, cut at every byte."""
    assert split_frames(frame) == ([frame], b"")
    for size in range(len(frame)):
        assert split_frames(frame[:size]) == ([], frame[:size])


def test_messages_are_kept_apart():
    """Many messages at once, and the beginning of one more."""
    assert split_frames(b"".join(FRAMES) + b"$10\r\nabc") == (FRAMES, b"$10\r\nabc")


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n", b"\r\n", b"$x\r\n"])
def test_another_protocol_is_refused(garbage):
    """It would be waited for without end."""
    with pytest.raises(FrameError, match="expected"):
        split_frames(garbage)
