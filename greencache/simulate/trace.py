"""Traces of requests: CSV, or the JSON lines that greencache writes."""

import csv
import io
import itertools
import json
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, BinaryIO, Final, NamedTuple

from greencache.errors import GreencacheError
from greencache.recording import FORMAT
from greencache.typing import Seconds

__all__ = ["Request", "TraceError", "read_trace"]

_COLUMNS: Final = ("key", "size", "ttl", "time", "cost")


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
    `.xz`, `.bz2` or `.zst` is decompressed.

    Args:
        path: The file.

    Raises:
        TraceError: If a line does not say what it should; the message names the line.
        OSError: If the file cannot be read.
    """
    number = 0
    try:
        with _opened(path) as binary, io.TextIOWrapper(binary, encoding="utf-8-sig", newline="") as text:
            first = _first_line(text)
            parse = _json_lines if first.startswith("{") else _csv_lines
            for request in parse(first, text):
                yield request
                number += 1
    except TraceError:
        raise
    except Exception as error:
        # The system numbers its errors; gzip and bz2 raise some without a number, for what is no such file.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        # Each decompressor has errors of its own, and a line can be wrong in many ways.
        reason = f"{type(error).__name__}: {error}"
        raise TraceError(f"{path}: after {number:,} requests comes what cannot be read: {reason}") from None


def _columns_named(line: str) -> list[str]:
    """Return the names of columns, if a line names the key's; else nothing."""
    names = [name.strip().lower() for name in line.lstrip("# ").split(",")]
    return names if "key" in names else []


def _first_line(lines: io.TextIOWrapper) -> str:
    """Return the first line that is neither empty nor a remark."""
    for line in iter(lines.readline, ""):
        # "#spring" may be a key; with a blank after the sign it is a remark.
        if not line.isspace() and (not line.startswith("# ") or _columns_named(line)):
            return line
    return ""


def _json_lines(first: str, rest: Iterable[str]) -> Iterator[Request]:
    header = json.loads(first)
    if header.get(FORMAT) != 1:
        raise ValueError(f"expected a first line with {FORMAT!r}: 1, got {first[:60]!r}")
    loads = json.loads
    for line in rest:
        record = loads(line)
        get = record.get
        yield Request(record["k"], get("s"), get("ttl"), get("t"), get("c"))


def _csv_lines(first: str, rest: Iterable[str]) -> Iterator[Request]:
    named = _columns_named(first)
    columns: Sequence[str] = named or _COLUMNS[: first.count(",") + 1]
    if unknown := set(columns) - set(_COLUMNS):
        raise ValueError(f"expected columns out of {', '.join(_COLUMNS)}, got {', '.join(sorted(unknown))}")
    lines = rest if named else itertools.chain([first] if first else [], rest)
    if tuple(columns) == ("key",):
        # The whole line is the key, commas and quotation marks included.
        for line in lines:
            if key := line.rstrip("\r\n"):
                yield Request(key)
        return
    places = [columns.index(name) if name in columns else None for name in _COLUMNS]
    yield from map(_row_parser(places), filter(None, csv.reader(lines)))


def _row_parser(places: Sequence[int | None]) -> Callable[[list[str]], Request]:
    """Return what makes a request of a row; made once, for it is called for every line.

    Args:
        places: Where the columns are in a row, in the order of `_COLUMNS`; `None` for one that is not there.
    """
    key, size, ttl, time, cost = places

    def number_at(place: int | None, kind: Callable[[str], float], row: list[str]) -> Any:
        if place is None or place >= len(row) or not row[place]:
            return None
        number = kind(row[place])
        if number != number:  # noqa: PLR0124 -- only NaN is not itself
            raise ValueError(f"expected a number, got {row[place]!r}")
        return None if number < 0 else number  # many traces write -1 for what they do not know

    def parse(row: list[str]) -> Request:
        return Request(
            row[key or 0],
            number_at(size, int, row),
            number_at(ttl, float, row),
            number_at(time, float, row),
            number_at(cost, float, row),
        )

    return parse


def _opened(path: pathlib.Path) -> BinaryIO:
    """Return the file's contents, decompressed."""
    suffix = path.suffix.lower()
    if suffix == ".gz":
        import gzip

        return gzip.open(path, "rb")  # type: ignore[return-value]
    if suffix == ".xz":
        import lzma

        return lzma.open(path, "rb")  # type: ignore[return-value]
    if suffix == ".bz2":
        import bz2

        return bz2.open(path, "rb")  # type: ignore[return-value]
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
