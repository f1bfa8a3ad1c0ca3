"""The glob patterns of Redis, for keys that no server has matched."""

import re

__all__ = ["compile_glob"]


def compile_glob(glob: str | bytes) -> re.Pattern[bytes]:
    r"""Return what matches the keys that a server matches: by `*`, `?`, `[a-c]`, `[^a]`, `\` before them.

    Args:
        glob: The pattern.
    """
    text = glob.encode() if isinstance(glob, str) else glob
    pattern, place = b"", 0
    while place < len(text):
        mark = text[place : place + 1]
        place += 1
        if mark == b"*":
            pattern += b".*"
        elif mark == b"?":
            pattern += b"."
        elif mark == b"[":
            part, place = _characters(text, place)
            pattern += part
        else:
            if mark == b"\\" and place < len(text):
                mark = text[place : place + 1]
                place += 1
            pattern += re.escape(mark)
    return re.compile(pattern, re.DOTALL)


def _characters(text: bytes, place: int) -> tuple[bytes, int]:
    """Return a set of characters as a regular expression, and where the pattern goes on after it."""
    is_negated = text[place : place + 1] == b"^"
    place += is_negated
    ranges: list[tuple[int, int]] = []
    while place < len(text) and text[place : place + 1] != b"]":
        if text[place : place + 1] == b"\\" and place + 1 < len(text):
            place += 1
        first = last = text[place]
        if text[place + 1 : place + 2] == b"-" and place + 2 < len(text):
            last = text[place + 2]
            place += 2
        ranges.append((min(first, last), max(first, last)))
        place += 1
    chosen = b"".join(b"\\x%02x-\\x%02x" % each for each in ranges)
    if not chosen:
        return (b"." if is_negated else b"(?!)"), place + 1
    return b"[%b%b]" % (b"^" if is_negated else b"", chosen), place + 1
