"""Writes the trace of a cache, to be replayed later."""

import pathlib
from types import TracebackType
from typing import Self

from greencache.recording import header, line_of
from greencache.simulate.trace import Request

__all__ = ["TraceWriter"]


class TraceWriter:
    """Writes requests as JSON lines, which `greencache simulate` reads.

    The first line is `{"greencache-trace": 1}`. Each further one is a request: `k` is the key, `t` the time
    in seconds, `s` the size in bytes, `ttl` seconds, `c` the cost of loading in seconds; what is not known is
    left out. Lines of several threads do not mix: the file takes each as a whole.

    Args:
        path: The file; it is replaced.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._file = path.open("wb")
        self._file.write(header())

    def write(self, request: Request) -> None:
        """Append a request."""
        key, size, ttl, time, cost = request
        # One call for a line: a buffered file has a lock of its own.
        self._file.write(line_of(key, time=time, size=size, ttl=ttl, cost=cost))

    def close(self) -> None:
        """Write what is still buffered; may be called twice."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
