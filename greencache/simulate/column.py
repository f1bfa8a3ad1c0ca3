"""Numbers in a temporary file."""

import tempfile
from array import array
from collections.abc import Iterator
from typing import Any, Final

__all__ = ["CHUNK", "Column"]

CHUNK: Final = 65_536
"""How many numbers are in memory at a time."""


class Column:
    """Numbers in a file that has no name, and so goes with the process.

    Args:
        typecode: What kind of numbers; see `array`.
    """

    def __init__(self, typecode: str) -> None:
        self._typecode = typecode
        self._file = tempfile.TemporaryFile(prefix="greencache-simulate-")  # noqa: SIM115 -- see close
        self._length = 0

    def write(self, start: int, numbers: "array[Any]") -> None:
        """Write numbers from a position on."""
        self._file.seek(start * numbers.itemsize)
        numbers.tofile(self._file)
        self._length = max(self._length, start + len(numbers))

    def chunks(self) -> "Iterator[array[Any]]":
        """Return all numbers in order, `CHUNK` at a time."""
        return map(self._read, range(0, self._length, CHUNK))

    def reversed_chunks(self) -> "Iterator[array[Any]]":
        """Return the same chunks, the last first, each in order."""
        return map(self._read, reversed(range(0, self._length, CHUNK)))

    def close(self) -> None:
        """Remove the file; may be called twice."""
        self._file.close()

    def _read(self, start: int) -> "array[Any]":
        found: array[Any] = array(self._typecode)
        self._file.seek(start * found.itemsize)
        found.frombytes(self._file.read(CHUNK * found.itemsize))
        return found
