"""Durations, sizes and blocks of lines as people read them in a terminal."""

from collections.abc import Iterable

from greencache.typing import Seconds

__all__ = ["block", "duration", "printable", "size_text"]

_LABEL = 10
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))
_SIZES = (("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000))


def duration(seconds: Seconds | None) -> str:
    """Return a duration in its two largest units, such as "4 min 12 s"; `None` is "ever"."""
    if seconds is None:
        return "ever"
    if abs(seconds) < 1:
        return f"{seconds * 1000:.0f} ms"
    if abs(seconds) < 60:  # noqa: PLR2004 -- a minute
        return f"{seconds:.1f} s"
    left = abs(round(seconds))
    parts: list[str] = []
    for unit, length in (*_UNITS, ("s", 1)):
        count, left = divmod(left, length)
        if count or parts:
            parts.append(f"{count} {unit}")
    return ("-" if seconds < 0 else "") + " ".join(part for part in parts[:2] if not part.startswith("0 "))


def size_text(size: int) -> str:
    """Return a size in its largest unit, such as "4.1 kB"."""
    for unit, length in _SIZES:
        if size >= length:
            return f"{size / length:.1f} {unit}"
    return f"{size} B"


def printable(text: str) -> str:
    """Return text that can do nothing to a terminal: what cannot be printed is escaped."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def block(title: str, rows: Iterable[tuple[str, str]]) -> list[str]:
    """Return a heading and, indented below it, what belongs to it, each with its label."""
    return [printable(title), *(f"    {label:<{_LABEL}} {printable(text)}" for label, text in rows)]
