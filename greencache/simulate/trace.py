"""Traces of requests: CSV, or the JSON lines that greencache writes."""

import csv
import io
import json
import math
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, Final, NamedTuple

from greencache.errors import GreencacheError
from greencache.typing import Seconds

__all__ = ["FORMAT", "Request", "TraceError", "read_trace"]

FORMAT: Final = "greencache-trace"
"""What the first line of a trace in JSON lines names, with the version 1."""

_COLUMNS: Final = ("key", "size", "ttl", "time", "cost")
_SUFFIXES: Final = (".gz", ".xz", ".zst")


class TraceError(GreencacheError, ValueError):
    """A trace cannot be read, or does not say what a simulation needs."""


class Request(NamedTuple):
    """One request of a trace; what the trace does not say is `None`.

    Args:
        key: What was asked for.
        size: Bytes of the value.
        ttl: Seconds that the value was fresh.
        time: Seconds since some moment, never less than before.
        cost: Seconds that loading the value took.
    """

    key: str
    size: int | None = None
    ttl: Seconds | None = None
    time: Seconds | None = None
    cost: Seconds | None = None


def read_trace(path: pathlib.Path) -> Iterator[Request]:
    """Read a trace, one request at a time.

    CSV has the columns `key[,size[,ttl]]`, or those that its first line names, with or without a `#` before:
    `key`, `size`, `ttl`, `time`, `cost`. JSON lines are what `TraceWriter` writes. A name that ends in `.gz`,
    `.xz` or `.zst` is decompressed.

    Args:
        path: The file.

    Raises:
        TraceError: If a line does not say what it should; the message names the line.
        OSError: If the file cannot be read.
    """
    with _opened(path) as binary, io.TextIOWrapper(binary, encoding="utf-8", newline="") as text:
        first = text.readline()
        lines = _Rest(first, text)
        parse = _json_lines if first.startswith("{") else _csv_lines
        requests = parse(lines)
        number = 0
        try:
            for number, request in enumerate(requests, 1):  # noqa: B007 -- told when the next one is wrong
                yield request
        except (ValueError, KeyError, TypeError, csv.Error) as error:
            reason = f"{type(error).__name__}: {error}"
            raise TraceError(
                f"{path}: after {number:,} requests comes a line that is none: {reason}"
            ) from None


class _Rest:
    """The lines of a file whose first one was read already."""

    def __init__(self, first: str, rest: io.TextIOWrapper) -> None:
        self.first = first
        self.rest = rest


def _json_lines(lines: _Rest) -> Iterator[Request]:
    header = json.loads(lines.first)
    if header.get(FORMAT) != 1:
        raise ValueError(f"expected a first line with {FORMAT!r}: 1, got {lines.first[:60]!r}")
    loads = json.loads
    for line in lines.rest:
        record = loads(line)
        get = record.get
        yield Request(record["k"], get("s"), get("ttl"), get("t"), get("c"))


def _csv_lines(lines: _Rest) -> Iterator[Request]:
    named = [name.strip() for name in lines.first.lstrip("# ").rstrip("\r\n").split(",")]
    is_header = named[0] == "key"
    columns: Sequence[str] = named if is_header else _COLUMNS[: len(named)]
    if unknown := set(columns) - set(_COLUMNS):
        raise ValueError(f"expected columns out of {', '.join(_COLUMNS)}, got {', '.join(sorted(unknown))}")
    texts = lines.rest if is_header else _chained(lines)
    if tuple(columns) == ("key",):
        # The whole line is the key, commas and quotation marks included.
        for line in texts:
            yield Request(line.rstrip("\r\n"))
        return
    parsers = [_PARSERS[name] for name in columns]
    for row in csv.reader(texts):
        fields = dict(
            zip(columns, (parse(field) for parse, field in zip(parsers, row, strict=False)), strict=False)
        )
        yield Request(**fields)


def _chained(lines: _Rest) -> Iterator[str]:
    if lines.first:
        yield lines.first
    yield from lines.rest


def _size(field: str) -> int | None:
    """Return a size; many traces write an unknown one as -1."""
    size = int(field) if field else -1
    return size if size >= 0 else None


def _seconds(field: str) -> Seconds | None:
    seconds = float(field) if field else -1.0
    if math.isnan(seconds):
        raise ValueError(f"expected seconds, got {field!r}")
    return seconds if seconds >= 0 else None


_PARSERS: Final[dict[str, Callable[[str], Any]]] = {
    "key": str,
    "size": _size,
    "ttl": _seconds,
    "time": _seconds,
    "cost": _seconds,
}


def _opened(path: pathlib.Path) -> BinaryIO:
    """Return the file's contents, decompressed."""
    suffix = path.suffix.lower()
    if suffix == ".gz":
        import gzip

        return gzip.open(path, "rb")  # type: ignore[return-value]
    if suffix == ".xz":
        import lzma

        return lzma.open(path, "rb")  # type: ignore[return-value]
    if suffix == ".zst":
        return _zstandard(path)
    return path.open("rb")


def _zstandard(path: pathlib.Path) -> BinaryIO:
    try:
        import zstandard
    except ModuleNotFoundError:
        raise TraceError(
            f"{path}: reading .zst needs zstandard: pip install 'greencache[compress]'"
        ) from None
    stream: BinaryIO = zstandard.open(path, "rb")
    return stream
