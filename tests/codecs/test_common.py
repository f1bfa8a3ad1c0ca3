"""The short way to read an envelope: to the same entry as the long one, or not at all."""

import math
import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greencache.codecs import Codec, JsonSerializer, Signer, compressor_named
from greencache.codecs.common import common_heads, open_common
from greencache.codecs.envelope import FIXED_SIZE
from greencache.entry import Entry
from greencache.errors import DecodeError
from greencache.testing import FakeClock
from greencache.typing import MISSING, CacheTier

CLOCK = FakeClock(now=1000.0, wall=1_700_000_000.0)
CODEC = Codec(clock=CLOCK)
KEY = "ns:k"
parts = [name for name in Entry.__slots__ if name not in {"marked", "weight", "home"}]


def state(entry):
    """Return all of an entry."""
    return [getattr(entry, name) for name in parts]


def short(data, key=KEY):
    """Return what the short way says, errors as nothing."""
    try:
        return open_common(data, key.encode(), CODEC.shift(), common_heads(1), CODEC.serializer.loads)
    except Exception:
        return None


def repaired(body):
    """Return the body of an envelope with a good checksum."""
    return bytes(body) + struct.pack(">I", zlib.crc32(body))


entries = st.builds(
    Entry,
    st.none() | st.integers(-5, 5) | st.text(max_size=5) | st.lists(st.binary(max_size=3), max_size=2),
    st.floats(900, 1e9) | st.just(math.inf),
    st.floats(900, 1e9) | st.just(math.inf),
    due_at=st.none() | st.floats(900, 1e9),
    created=st.floats(0, 2e9),
    stamps=st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), max_size=3).map(tuple),
    tier=st.none() | st.sampled_from(CacheTier),
    cost=st.floats(0, 100),
)


@settings(max_examples=300)
@given(entries, st.sampled_from(["sha256", "crc32"]))
def test_both_ways_lead_to_the_same_entry(entry, checksum):
    """Of whatever an entry may hold."""
    data = Codec(clock=CLOCK, checksum=checksum).encode(KEY, entry)
    found = short(data)
    assert found is not None
    assert state(found) == state(CODEC.decode(KEY, data))


@settings(max_examples=1000)
@given(entries, st.data())
def test_what_the_long_way_refuses_the_short_one_does_not_read(entry, data):
    """Bytes that were changed on purpose, with a checksum that is right again."""
    body = bytearray(CODEC.encode(KEY, entry)[:-4])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, 70) | st.integers(0, len(body) - 1)) % len(body)
        body[place] = data.draw(st.sampled_from([0, 1, 2, 5, 0x7F, 0xF0, 0xFF]) | st.integers(0, 255))
    changed = repaired(body)
    found = short(changed)
    try:
        expected = CODEC.decode(KEY, changed)
    except DecodeError:
        assert found is None
    else:
        assert found is None or state(found) == state(expected)


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\xc1gc\x01\x00\x01\x00\x00", b"\xc1gc\x01\x02\x01\x00\x02"]),
)
def test_any_bytes_are_left_to_the_long_way(data, head):
    """Without a crash, whatever is in the server."""
    assert short(head + data) is None


def test_every_flipped_bit_is_left_to_the_long_way():
    """As the checksum says; the digest is under it."""
    data = CODEC.encode(KEY, Entry([1, "two"], 1060.0, stamps=(("", "s0"),)))
    assert short(data) is not None
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        assert short(bytes(damaged)) is None


@pytest.mark.parametrize("place", range(8, 48, 8))
@pytest.mark.parametrize("time", [math.nan, -math.inf])
def test_times_that_are_none_are_left_to_the_long_way(place, time):
    """Each alone, and with one for ever beside it."""
    for stale_until in (1060.0, math.inf):
        body = bytearray(CODEC.encode(KEY, Entry(1, 1060.0, stale_until))[:-4])
        body[place : place + 8] = struct.pack(">d", time)
        assert short(repaired(body)) is None


def test_another_key_is_left_to_the_long_way():
    """The reply to another request."""
    data = CODEC.encode(KEY, Entry(1, 1060.0))
    assert [short(data, key) for key in ("ns:K", "ns:", "ns:kk", "ns2:k", "")] == [None] * 5


def test_what_needs_more_than_a_look_is_left_to_the_long_way():
    """Signed, compressed, absent, large, or written by another serializer; all of it is read."""
    signer = Signer([b"a secret of 32 bytes............"])
    codecs = [
        Codec(signer=signer, clock=CLOCK),
        Codec(compressor=compressor_named("zlib"), compress_above=10, clock=CLOCK),
        Codec(JsonSerializer(), clock=CLOCK),
    ]
    written = [(codec, codec.encode(KEY, Entry("x" * 100, 1060.0))) for codec in codecs]
    written += [(CODEC, CODEC.encode(KEY, Entry(value, 1060.0))) for value in (MISSING, "x" * 20_000)]
    for codec, data in written:
        assert short(data) is None
        found = codec.decode_many("ns:", [("k", data), ("none", None)], pytest.fail)
        assert state(found["k"]) == state(codec.decode(KEY, data))


def test_a_codec_with_a_signer_reads_nothing_unsigned_by_the_short_way():
    """In a batch too."""
    refused = []
    signed = Codec(signer=Signer([b"a secret of 32 bytes............"]), clock=CLOCK)
    data = CODEC.encode(KEY, Entry(1, 1060.0))
    assert (
        signed.decode_many("ns:", [("k", data)], lambda key, error: refused.append((key, error.reason))) == {}
    )
    assert refused == [("k", "signature")]


def test_a_batch_tells_of_each_that_is_refused():
    """And reads the others."""
    data = {key: CODEC.encode(f"ns:{key}", Entry(key, 1060.0)) for key in "abc"}
    found = [("a", data["a"]), ("b", data["a"]), ("c", data["c"][:-1]), ("d", None), ("e", b"")]
    refused = {}
    read = CODEC.decode_many("ns:", found, lambda key, error: refused.update({key: error.reason}))
    assert {key: entry.value for key, entry in read.items()} == {"a": "a"}
    assert refused == {"b": "key", "c": "size", "e": "magic"}


def test_stamps_are_counted_though_their_block_is_known():
    """The count is another field, and may lie."""
    data = CODEC.encode(KEY, Entry(1, 1060.0, stamps=(("", "s"), ("t", "u"))))
    assert short(data).stamps == (("", "s"), ("t", "u"))
    body = bytearray(data[:-4])
    for count in (0, 1, 3):
        body[48:50] = struct.pack(">H", count)
        assert short(repaired(body)) is None


@pytest.mark.parametrize("size", [1, 100])
@pytest.mark.parametrize("compressor", [None, "zlib"])
def test_a_digest_that_is_wrong_is_noticed(size, compressor):
    """Although the CRC is right: it is of other bytes where the payload is compressed."""
    named = None if compressor is None else compressor_named(compressor)
    codec = Codec(compressor=named, compress_above=10, clock=CLOCK)
    body = bytearray(codec.encode(KEY, Entry("x" * size, 1060.0))[:-4])
    body[FIXED_SIZE + len(KEY)] ^= 1  # the first byte of the digest
    assert short(repaired(body)) is None
    with pytest.raises(DecodeError, match="SHA-256"):
        codec.decode(KEY, repaired(body))
