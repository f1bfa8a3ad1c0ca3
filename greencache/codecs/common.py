"""Reading the envelopes that nearly all are: small, whole, of the right key, not signed and not compressed.

What this reads, `Codec.decode` reads to the same entry; what this leaves, that one reads, or refuses with
the reason. Here is only what a good envelope needs, in one function: most of what a batch takes are calls.
"""

import math
import struct
import zlib
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Final, TypeAlias

from greencache.codecs.envelope import (
    CRC_SIZE,
    DIGEST_SIZE,
    FIXED_SIZE,
    HAS_DIGEST,
    MAGIC,
    TIERS,
    parse_stamps,
)
from greencache.entry import Entry, Stamps, restored
from greencache.typing import CacheTier

__all__ = ["Heads", "common_heads", "open_common"]

Heads: TypeAlias = Mapping[bytes, tuple[int, CacheTier | None]]
"""For each way in which such an envelope can begin the bytes of its digest, and its tier."""

# The first eight bytes are looked at as one; see `envelope`.
_unpack: Final = struct.Struct(">8x5d2H3I").unpack_from
_LEAST: Final = FIXED_SIZE + CRC_SIZE
_MOST: Final = 16_384
"""Bytes up to which a copy costs less than a view."""
_MOST_STAMPS: Final = 512
_BEFORE, _FOR_EVER = -math.inf, math.inf

_known_stamps: dict[bytes, Stamps] = {}
"""Most entries of a namespace carry the same stamps: reading them once saves time, and keeping them once
saves memory in L1. Each step is one atomic operation of a dict."""
_MOST_KNOWN: Final = 1024


def common_heads(serializer: int) -> Heads:
    """Return how such envelopes begin whose payload one serializer has written."""
    return {
        MAGIC + bytes((flags, serializer, 0, number)): (DIGEST_SIZE if flags else 0, tier)
        for flags in (0, HAS_DIGEST)
        for number, tier in enumerate(TIERS)
    }


def open_common(
    data: bytes, key: bytes, shift: float, heads: Heads, loads: Callable[[Any], Any]
) -> Entry | None:
    """Return the entry, or `None` if something is not as it nearly always is.

    Args:
        data: Any bytes.
        key: The key that it must have been written for.
        shift: How far the wall clock is ahead of the clock that entry times are in.
        heads: How it may begin.
        loads: Returns the value of a payload.

    Raises:
        Exception: What `loads` raises, or the reading of stamps that are none.
    """
    size = len(data)
    kind = heads.get(data[:8]) if _LEAST <= size <= _MOST else None
    if kind is None:
        return None
    created, fresh, stale, due, cost, count, key_size, stamps_size, stored, plain = _unpack(data)
    key_start = FIXED_SIZE + stamps_size
    key_end = key_start + key_size
    start = key_end + kind[0]
    stop = size - CRC_SIZE
    if data[key_start:key_end] != key or start + stored != stop or stored != plain:
        return None
    # The sum is no number, or -inf, if one of them is; see `envelope.are_times`.
    are_times = created + fresh + stale + due > _BEFORE and 0 <= cost < _FOR_EVER
    if zlib.crc32(data[:stop]) != int.from_bytes(data[stop:]) or not are_times or stamps_size > _MOST_STAMPS:
        return None
    block = data[FIXED_SIZE:key_start]
    stamps = _known_stamps.get(block)
    if stamps is None or len(stamps) != count:
        stamps = _remembered(block, count)
    payload = data[start:stop]
    if start > key_end and sha256(payload).digest() != data[key_end:start]:
        return None
    value = loads(payload)
    return restored(value, fresh - shift, stale - shift, due - shift, created, stamps, kind[1], cost)


def _remembered(block: bytes, count: int) -> Stamps:
    stamps = parse_stamps(block, count)
    if len(_known_stamps) >= _MOST_KNOWN:
        _known_stamps.clear()
    _known_stamps[block] = stamps
    return stamps
