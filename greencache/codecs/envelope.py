"""Envelope version 1: what stands around a payload. Big-endian, IEEE 754 binary64, lengths in bytes.

    offset  bytes
    0       3   magic C1 67 63: C1 opens neither MessagePack, JSON, pickle nor UTF-8; then "gc"
    3       1   version, 1
    4       1   flags: 1 = signed, 2 = the payload's SHA-256 is present, 4 = there is no value, and the
                payload is that of None; all others 0
    5       1   serializer: 1 = msgpack, 2 = json, 3 = pickle
    6       1   compressor: 0 = none, 1 = zlib, 2 = zstd, 3 = lz4, 4 = snappy
    7       1   deepest tier that keeps the entry, 1 to 4; 0 = all
    8       8   created, seconds since 1970
    16      8   fresh until, seconds since 1970; +inf = for ever
    24      8   stale until, likewise
    32      8   due at, likewise
    40      8   cost of loading, seconds
    48      2   number of stamps
    50      2   length of the key                      K
    52      4   length of the stamps                   S
    56      4   length of the payload as stored        P
    60      4   length of the payload before compression
    64      S   stamps: each the length of the tag (2), of the stamp (2), the tag and the stamp, UTF-8
            K   key with its namespace, UTF-8
            32  SHA-256 of the payload before compression, if flagged
            P   payload as stored
            4   CRC-32 of all the bytes above (as in zlib)
            +   trailer of the signature, if flagged: see signer.py

The CRC finds damage anywhere, the header included, before anything is inflated. The SHA-256 says where a
value came from: two entries with the same digest hold the same payload, however they were compressed. It
finds what a CRC of 32 bits may miss; neither proves anything against who can write here.
"""

import functools
import hashlib
import math
import struct
import zlib
from typing import Final, NamedTuple

from greencache.entry import Stamps
from greencache.errors import DecodeError, EncodeError
from greencache.typing import CacheTier

__all__ = [
    "CRC_SIZE",
    "DIGEST_SIZE",
    "FIXED_SIZE",
    "HAS_DIGEST",
    "IS_ABSENT",
    "IS_SIGNED",
    "MAGIC",
    "TIERS",
    "Header",
    "are_times",
    "check_magic",
    "open_envelope",
    "parse_stamps",
    "read_stamps",
    "seal",
]

IS_SIGNED: Final = 1
HAS_DIGEST: Final = 2
IS_ABSENT: Final = 4

MAGIC: Final = b"\xc1gc\x01"
_FIXED: Final = struct.Struct(">4s4B5d2H3I")
_PAIR: Final = struct.Struct(">2H")
_CRC: Final = struct.Struct(">I")
DIGEST_SIZE: Final = 32
# Looked up once, not for each entry of a batch.
_unpack_fixed: Final = _FIXED.unpack_from
_new: Final = tuple.__new__
FIXED_SIZE: Final = _FIXED.size
CRC_SIZE: Final = _CRC.size
_ALL_FLAGS: Final = IS_SIGNED | HAS_DIGEST | IS_ABSENT
_LEAST: Final = FIXED_SIZE + CRC_SIZE
_SHORT: Final = 0xFFFF
_LONG: Final = 0xFFFF_FFFF
_COMMON_STAMPS: Final = 512
TIERS: Final[tuple[CacheTier | None, ...]] = (None, *CacheTier)
_BEFORE: Final = -math.inf
_FOR_EVER: Final = math.inf


class Header(NamedTuple):
    """The fixed part of an envelope, in its order; times are on the wall clock."""

    magic: bytes
    flags: int
    serializer: int
    compressor: int
    tier: int
    created: float
    fresh_until: float
    stale_until: float
    due_at: float
    cost: float
    stamps: int
    key_size: int
    stamps_size: int
    stored_size: int
    plain_size: int


def seal(
    *,
    flags: int,
    serializer: int,
    compressor: int,
    tier: int,
    times: tuple[float, float, float, float, float],
    stamps: Stamps,
    key: bytes,
    plain: bytes,
    stored: bytes,
) -> bytes:
    """Return an envelope, not yet signed.

    Raises:
        EncodeError: If a part is longer than its length can say.
    """
    if len(key) > _SHORT or len(stamps) > _SHORT or len(plain) > _LONG:
        raise EncodeError(
            f"an envelope holds a key and stamps of up to {_SHORT}, a payload of up to {_LONG} bytes"
        )
    written = _written_once(stamps) if stamps else b""
    fixed = _FIXED.pack(
        MAGIC,
        flags,
        serializer,
        compressor,
        tier,
        *times,
        len(stamps),
        len(key),
        len(written),
        len(stored),
        len(plain),
    )
    digest = hashlib.sha256(plain).digest() if flags & HAS_DIGEST else b""
    body = b"".join((fixed, written, key, digest, stored))
    return body + _CRC.pack(zlib.crc32(body))


def check_magic(data: bytes) -> None:
    """Refuse what is not an envelope of this version.

    Raises:
        DecodeError: With the reason "magic", "version" or "size".
    """
    if data.startswith(MAGIC) and len(data) >= _LEAST:
        return
    if not data.startswith(MAGIC[:3]):
        raise DecodeError("not an entry of greencache", "magic")
    if len(data) > 3 and data[3] != MAGIC[3]:  # noqa: PLR2004 -- the version's place
        raise DecodeError(f"an entry of version {data[3]}, expected {MAGIC[3]}", "version")
    raise DecodeError(f"{len(data)} bytes are too few for an entry", "size")


def open_envelope(data: bytes, end: int, key: bytes) -> tuple[Header, bytes, memoryview]:
    """Return the header, the SHA-256 (or nothing) and the stored payload of an envelope that is whole.

    Args:
        data: The envelope, with or without its signature, of which `check_magic` approves.
        end: Where the signature begins, or the length.
        key: The key that it must have been written for.

    Raises:
        DecodeError: With the reason "size", "checksum", "header" or "key".
    """
    fields = _unpack_fixed(data)
    _, flags, _, _, _, _, _, _, _, _, _, key_size, stamps_size, stored_size, _ = fields
    key_start = FIXED_SIZE + stamps_size
    key_end = key_start + key_size
    start = key_end + DIGEST_SIZE if flags & HAS_DIGEST else key_end
    stop = start + stored_size
    if stop + CRC_SIZE != end:
        raise DecodeError(f"the header speaks of {stop + CRC_SIZE} bytes, there are {end}", "size")
    view = memoryview(data)
    if zlib.crc32(view[:stop]) != int.from_bytes(data[stop:end]):
        raise DecodeError("the checksum does not match: damaged", "checksum")
    if flags > _ALL_FLAGS:
        raise DecodeError("flags that this version does not know", "header")
    if data[key_start:key_end] != key:
        raise DecodeError("written for another key", "key")
    return _new(Header, fields), data[key_end:start], view[start:stop]


def read_stamps(data: bytes, header: Header) -> Stamps:
    """Return the stamps.

    Raises:
        DecodeError: If they do not fill their place.
    """
    block = data[FIXED_SIZE : FIXED_SIZE + header.stamps_size]
    # Most entries of a namespace carry the same stamps: reading them once saves time, and keeping them once
    # saves memory in L1. Long ones are not worth keeping, and could be made long on purpose.
    parse = _parsed_once if len(block) <= _COMMON_STAMPS else parse_stamps
    return parse(block, header.stamps)


def are_times(created: float, fresh_until: float, stale_until: float, due_at: float, cost: float) -> bool:
    """Return whether an entry can have these times and this cost."""
    # Compared so that a NaN, which compares false with everything, is refused as well.
    return (
        created > _BEFORE
        and fresh_until > _BEFORE
        and stale_until > _BEFORE
        and due_at > _BEFORE
        and 0 <= cost < _FOR_EVER
    )


def _written(stamps: Stamps) -> bytes:
    parts: list[bytes] = []
    for tag, stamp in stamps:
        pair = tag.encode(), stamp.encode()
        if max(map(len, pair)) > _SHORT:
            raise EncodeError(
                f"a tag and its stamp take up to {_SHORT} bytes each, got {max(map(len, pair))}"
            )
        parts += _PAIR.pack(len(pair[0]), len(pair[1])), *pair
    return b"".join(parts)


def parse_stamps(block: bytes, count: int) -> Stamps:
    """Return a number of stamps, which fill a block.

    Raises:
        DecodeError: They do not.
        ValueError, struct.error: What is there is none.
    """
    stamps: list[tuple[str, str]] = []
    place = 0
    for _ in range(count):
        tag_size, stamp_size = _PAIR.unpack_from(block, place)
        start = place + _PAIR.size
        middle = start + tag_size
        place = middle + stamp_size
        stamps.append((block[start:middle].decode(), block[middle:place].decode()))
    if place != len(block):
        raise DecodeError("the stamps do not fill their place", "header")
    return tuple(stamps)


_written_once = functools.lru_cache(maxsize=1024)(_written)
_parsed_once = functools.lru_cache(maxsize=1024)(parse_stamps)
