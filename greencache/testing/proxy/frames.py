"""Where one message of the Redis protocol ends and the next begins.

Source: the RESP3 specification, https://github.com/redis/redis-specifications/blob/master/protocol/RESP3.md.
"""

from greencache.errors import GreencacheError

__all__ = ["FrameError", "split_frames"]

_LINES = b"+-:,_#("  # the line is all there is
_STRINGS = b"$=!"  # the line says how many bytes follow, with a line end of their own
_LISTS = b"*~>"  # the line says how many messages follow
_PAIRS = b"%|"  # the line says how many pairs of messages follow


class FrameError(GreencacheError, ValueError):
    """These bytes are not of the Redis protocol."""


def split_frames(data: bytes) -> tuple[list[bytes], bytes]:
    """Cut a stream of Redis replies, or of commands, into whole messages.

    Args:
        data: What has come so far, from the beginning of a message on.

    Returns:
        The whole messages, and the beginning of one that has not come whole.

    Raises:
        FrameError: The bytes are of another protocol.
    """
    frames, start = [], 0
    while (end := _end_of_frame(data, start)) is not None:
        frames.append(data[start:end])
        start = end
    return frames, data[start:]


def _end_of_frame(data: bytes, start: int) -> int | None:
    """Return where the message that begins here ends; `None` when its end has not come."""
    wanted = 1
    while wanted:
        end = data.find(b"\r\n", start)
        if end < 0:
            return None
        inside, follows = _read_head(data[start:end])
        start = end + 2 + inside
        if start > len(data):
            return None
        wanted += follows - 1
    return start


def _read_head(line: bytes) -> tuple[int, int]:
    """Return how many bytes and how many further messages belong to a message with this first line.

    An attribute stands before the message it describes, and counts as part of it.
    """
    kind, rest = line[:1], line[1:]
    if not kind or kind not in _LINES + _STRINGS + _LISTS + _PAIRS:
        raise FrameError(f"expected a message of the Redis protocol, got {line[:40]!r}")
    if kind in _LINES:
        return 0, 0
    try:
        number = int(rest)
    except ValueError:
        raise FrameError(f"expected a number after {kind!r}, got {rest[:40]!r}") from None
    if number < 0:  # RESP2's null
        return 0, 0
    if kind in _STRINGS:
        return number + 2, 0
    if kind in _LISTS:
        return 0, number
    return 0, 2 * number + (kind == b"|")
