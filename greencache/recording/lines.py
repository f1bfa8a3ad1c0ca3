"""The lines of a recorded trace: JSON, one request each."""

import json
from typing import Any, Final

__all__ = ["FORMAT", "header", "line_of"]

FORMAT: Final = "greencache-trace"
"""What the first line of a trace in JSON lines names, with the version 1."""


def header() -> bytes:
    """Return the first line."""
    return json.dumps({FORMAT: 1}).encode() + b"\n"


def line_of(
    key: str, *, time: float | None, size: int | None, ttl: float | None, cost: float | None
) -> bytes:
    """Return the line of a request; what is `None` is not known and left out.

    Args:
        key: What was asked for.
        time: Seconds since some moment.
        size: Bytes of the value.
        ttl: Seconds that the value was fresh.
        cost: Seconds that loading the value took.
    """
    record: dict[str, Any] = {"k": key, "t": time, "s": size, "ttl": ttl, "c": cost}
    known = {name: value for name, value in record.items() if value is not None}
    return json.dumps(known, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
