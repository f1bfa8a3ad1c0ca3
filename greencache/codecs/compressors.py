"""Compressors, each of which knows before it allocates how large the result may be.

`decompress` is told the exact size that the envelope promises and gives that many bytes or refuses: a bomb
is turned away by its size, not by running out of memory.
"""

import difflib
import importlib
import zlib
from types import ModuleType
from typing import Any, ClassVar, Protocol

from greencache.errors import ConfigurationError, DecodeError

__all__ = ["Compressor", "compressor_by_id", "compressor_named"]


class Compressor(Protocol):
    """Makes bytes smaller, and back."""

    @property
    def id(self) -> int:
        """What stands for it in an envelope; 1 to 255, never given to another."""
        ...

    @property
    def name(self) -> str:
        """Its name in a configuration."""
        ...

    def compress(self, plain: bytes) -> bytes:
        """Return fewer bytes, usually."""
        ...

    def decompress(self, packed: memoryview, size: int) -> bytes:
        """Return exactly the bytes that were compressed.

        Args:
            packed: What `compress` returned, or anything else.
            size: How many bytes it must yield; no more are allocated.

        Raises:
            DecodeError: If it yields another number; other exceptions mean damage.
        """
        ...


class ZlibCompressor:
    """DEFLATE from the standard library: always there, small, slow (RFC 1950)."""

    id: ClassVar[int] = 1
    name: ClassVar[str] = "zlib"

    def compress(self, plain: bytes) -> bytes:
        """Compress at level 6."""
        return zlib.compress(plain, 6)

    def decompress(self, packed: memoryview, size: int) -> bytes:
        """Inflate at most one byte more than promised, which is enough to notice."""
        inflater = zlib.decompressobj()
        plain = inflater.decompress(packed, size + 1)
        if not inflater.eof or inflater.unused_data:
            raise _wrong_size("more or less", size)
        return _of_size(plain, size)


class ZstdCompressor:
    """Zstandard: the best ratio for its time (RFC 8878)."""

    id: ClassVar[int] = 2
    name: ClassVar[str] = "zstd"

    def __init__(self) -> None:
        self._zstd = _optional("zstandard", self.name)

    def compress(self, plain: bytes) -> bytes:
        """Compress at level 3."""
        # A context of its own for each call: contexts must not be shared between threads.
        return bytes(self._zstd.compress(plain, 3))

    def decompress(self, packed: memoryview, size: int) -> bytes:
        """Inflate a frame that declares the promised size; the library allocates what the frame declares."""
        if self._zstd.frame_content_size(packed) != size:
            raise _wrong_size("another number", size)
        return _of_size(self._zstd.ZstdDecompressor().decompress(packed, allow_extra_data=False), size)


class Lz4Compressor:
    """LZ4 blocks: the fastest to inflate."""

    id: ClassVar[int] = 3
    name: ClassVar[str] = "lz4"

    def __init__(self) -> None:
        self._block: Any = _optional("lz4.block", self.name)

    def compress(self, plain: bytes) -> bytes:
        """Compress one block, without the size that the envelope has already."""
        return bytes(self._block.compress(plain, store_size=False))

    def decompress(self, packed: memoryview, size: int) -> bytes:
        """Inflate into a buffer of the promised size."""
        return _of_size(self._block.decompress(packed, uncompressed_size=size), size)


class SnappyCompressor:
    """Snappy's raw format, from cramjam."""

    id: ClassVar[int] = 4
    name: ClassVar[str] = "snappy"

    def __init__(self) -> None:
        self._snappy = _optional("cramjam", self.name).snappy

    def compress(self, plain: bytes) -> bytes:
        """Compress one block."""
        return bytes(self._snappy.compress_raw(plain))

    def decompress(self, packed: memoryview, size: int) -> bytes:
        """Inflate a block that declares the promised size."""
        block = bytes(packed)
        if self._snappy.decompress_raw_len(block) != size:
            raise _wrong_size("another number", size)
        return _of_size(bytes(self._snappy.decompress_raw(block)), size)


_KINDS = (ZlibCompressor, ZstdCompressor, Lz4Compressor, SnappyCompressor)
_BY_NAME: dict[str, type[Compressor]] = {kind.name: kind for kind in _KINDS}
_BY_ID: dict[int, type[Compressor]] = {kind.id: kind for kind in _KINDS}


def compressor_named(name: str) -> Compressor:
    """Return the compressor of a name: "lz4", "snappy", "zlib" or "zstd".

    Raises:
        ConfigurationError: If there is none of that name, or its package is not installed.
    """
    kind = _BY_NAME.get(name)
    if kind is None:
        near = difflib.get_close_matches(str(name), _BY_NAME, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigurationError(
            f"compressor must be one of {', '.join(sorted(_BY_NAME))}, got {name!r}{hint}"
        )
    return kind()


def compressor_by_id(number: int) -> Compressor:
    """Return the compressor that an envelope names.

    Raises:
        DecodeError: If there is none, or its package is not installed here.
    """
    kind = _BY_ID.get(number)
    if kind is None:
        raise DecodeError(f"compressed by an unknown compressor, number {number}", "compressor")
    try:
        return kind()
    except ConfigurationError as error:
        raise DecodeError(str(error), "compressor") from error


def _optional(module: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ConfigurationError(
            f"compressor {name!r} needs the package {package!r}: pip install 'greencache[compress]'"
        ) from error


def _of_size(plain: bytes, size: int) -> bytes:
    if len(plain) != size:
        raise _wrong_size(str(len(plain)), size)
    return plain


def _wrong_size(came: str, size: int) -> DecodeError:
    return DecodeError(f"the payload should inflate to {size} bytes, and holds {came}", "size")
