"""An envelope that is not whole, not ours, or of another key or version is refused, with the reason."""

import pathlib
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greencache.codecs import Codec, JsonSerializer, MessagePackSerializer, TypeRegistry, compressor_named
from greencache.codecs.envelope import seal
from greencache.entry import Entry
from greencache.errors import DecodeError, EncodeError
from greencache.testing import FakeClock
from greencache.typing import CacheTier

SNAPSHOTS = pathlib.Path(__file__).parent / "snapshots"


def refused(codec, data, key="ns:k"):
    """Return the reason for which a codec refuses bytes."""
    with pytest.raises(DecodeError) as caught:
        codec.decode(key, data)
    return caught.value.reason


def repaired(data, place, change):
    """Return an unsigned envelope with other bytes somewhere and a good checksum."""
    body = bytearray(data[:-4])
    body[place : place + len(change)] = change
    return bytes(body) + struct.pack(">I", zlib.crc32(body))


@pytest.mark.parametrize("checksum", ["sha256", "crc32"])
@pytest.mark.parametrize("is_signed", [False, True])
@pytest.mark.parametrize("serializer", [MessagePackSerializer(), JsonSerializer()])
def test_every_flipped_bit_is_noticed(  # noqa: PLR0917
    checksum, is_signed, serializer, clock, signer, entry
):
    """One bit anywhere: header, stamps, key, digest, payload, checksum, signature."""
    codec = Codec(serializer, checksum=checksum, signer=signer if is_signed else None, clock=clock)
    data = codec.encode("ns:k", entry)
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        assert refused(codec, bytes(damaged)) in {"magic", "version", "signature", "checksum", "size"}


@pytest.mark.parametrize("is_signed", [False, True])
def test_every_truncation_and_every_addition_is_noticed(is_signed, clock, signer, entry):
    """Half an answer is no answer, and neither is an answer and a half."""
    codec = Codec(signer=signer if is_signed else None, clock=clock)
    data = codec.encode("ns:k", entry)
    for end in range(len(data)):
        assert refused(codec, data[:end])
    assert refused(codec, data + b"\0")
    assert refused(codec, data + data)


@pytest.mark.parametrize("other", ["ns:K", "ns:k2", "ns2:k", "", "ns:k\0", "x" * 70_000, "ns:\ud800"])
def test_the_reply_to_another_key_is_noticed(other, codec, entry):
    """Bytes are bound to namespace and key: a mixed-up connection yields a miss, not a foreign value."""
    assert refused(codec, codec.encode("ns:k", entry), other) in {"key", "payload"}


def test_another_version_is_told_from_other_bytes(codec, entry):
    """An entry of a later release is a miss that says so."""
    data = codec.encode("ns:k", entry)
    assert refused(codec, repaired(data, 3, b"\x02")) == "version"
    assert (
        refused(codec, b"plain text that somebody else has put there, long enough to be an entry") == "magic"
    )
    assert refused(codec, b"") == "magic"


@pytest.mark.parametrize(
    ("place", "change", "reason"),
    [
        (4, b"\x82", "header"),
        (5, b"\x63", "serializer"),
        (5, b"\x03", "serializer"),
        (6, b"\x63", "compressor"),
        (7, b"\x05", "header"),
        (24, struct.pack(">d", float("nan")), "header"),
        (24, struct.pack(">d", float("-inf")), "header"),
        (40, struct.pack(">d", -1.0), "header"),
        (40, struct.pack(">d", float("inf")), "header"),
        (48, b"\0\1", "header"),
        (48, b"\0\3", "payload"),
        (50, b"\xff\xff", "size"),
        (60, b"\xff\xff\xff\xff", "size"),
        (60, b"\0\0\0\1", "size"),
    ],
)
def test_a_header_that_lies_is_refused_though_its_checksum_is_right(place, change, reason, codec, entry):
    """Whoever can write to the server can compute a CRC."""
    data = codec.encode("ns:k", entry)
    assert refused(codec, repaired(data, place, change)) == reason


def test_what_is_too_large_to_be_read_is_not_written(clock):
    """The writer refuses at once what no reader would take."""
    codec = Codec(max_size=1000, compressor=compressor_named("zlib"), clock=clock)
    for value in ("x" * 2000, b"x" * 950):
        with pytest.raises(EncodeError, match="1000"):
            codec.encode("ns:k", Entry(value, 1.0))
    assert refused(codec, b"\xc1gc\x01" + bytes(2000)) == "size"


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        ("k" * 70_000, {}),
        ("k\ud800", {}),
        ("k", {"stamps": (("t" * 70_000, "s"),)}),
        ("k", {"stamps": (("\ud800", "s"),)}),
        ("k", {"created": float("nan")}),
        ("k", {"cost": -1.0}),
        ("k", {"stamps": (("t", "s"),) * 70_000}),
    ],
)
def test_parts_that_do_not_fit_an_envelope_are_refused(key, parts, codec):
    """With an error of our tree, not of struct."""
    with pytest.raises(EncodeError):
        codec.encode(key, Entry(1, 1.0, **parts))


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_read(data):
    """Without a crash, whatever is in the server."""
    codec = Codec(clock=FakeClock())
    assert refused(codec, data)
    assert refused(codec, b"\xc1gc\x01" + data)


def test_seal_and_the_codec_agree_on_the_layout(codec, clock):
    """The documented offsets are where things are."""
    data = codec.encode("ns:k", Entry(7, 1060.0, created=5.0, tier=CacheTier.L3, cost=2.0))
    times = (5.0, clock.wall() + 60, clock.wall() + 60, clock.wall() + 60, 2.0)
    plain = b"\x07"
    assert data == seal(
        flags=2,
        serializer=1,
        compressor=0,
        tier=3,
        times=times,
        stamps=(),
        key=b"ns:k",
        plain=plain,
        stored=plain,
    )
    assert data[:8] == b"\xc1gc\x01\x02\x01\x00\x03"
    assert struct.unpack_from(">5d", data, 8) == times
    assert struct.unpack_from(">2H3I", data, 48) == (0, 4, 0, 1, 1)
    assert data[64:68] == b"ns:k"


def snapshot_value():
    """Return a value of every type, and the class in it, as they were when the snapshots were written."""
    import dataclasses
    import datetime as dt
    import decimal
    import uuid
    import zoneinfo

    factor = dataclasses.make_dataclass("Factor", [("region", str), ("value", float)])
    factor.__module__ = "shop.models"
    value = {
        "plain": [None, True, -1, 2**63, 0.5, "ü", b"\0"],
        "tagged": (2**70, {1}, frozenset({2}), bytearray(b"x"), {(1, 2): 3, None: 4}, {5: 6}),
        "moments": [
            dt.datetime(2026, 1, 2, 3, 4, 5, 6),  # noqa: DTZ001 -- naive on purpose
            dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
            dt.datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
            dt.date(2026, 1, 2),
            dt.time(3, 4),
            dt.timedelta(-1, 2, 3),
        ],
        "numbers": [decimal.Decimal("1.50"), uuid.UUID(int=7)],
        "factor": factor("DE", 0.38),
    }
    return factor, value


def test_what_version_1_wrote_is_read_for_ever(signer):
    """The snapshots were written once; if this fails, the format has changed: make it another version."""
    factor, value = snapshot_value()
    types = TypeRegistry((factor,))
    clock = FakeClock(now=1000.0, wall=1_700_000_000.0)
    for name, codec in {
        "v1-msgpack.bin": Codec(MessagePackSerializer(types), clock=clock),
        "v1-json-zlib-signed.bin": Codec(JsonSerializer(types), signer=signer, clock=clock),
    }.items():
        entry = codec.decode("ns:factor:DE", (SNAPSHOTS / name).read_bytes())
        assert entry.value == value
        assert entry.stamps == (("", "s0"), ("fuel", "s1"))
        assert (entry.created, entry.due_at, entry.fresh_until, entry.stale_until) == (
            1.7e9,
            1050.0,
            1060.0,
            1600.0,
        )
        assert (entry.tier, entry.cost) == (CacheTier.L2, 0.25)


def test_version_1_is_still_written_as_it_was():
    """Older releases in the same fleet go on reading what this one writes."""
    factor, value = snapshot_value()
    codec = Codec(MessagePackSerializer((factor,)), clock=FakeClock(now=1000.0, wall=1_700_000_000.0))
    assert codec.encode("ns:factor:DE", snapshot_entry(value)) == (SNAPSHOTS / "v1-msgpack.bin").read_bytes()


def snapshot_entry(value):
    """Return the entry of the snapshots."""
    stamps = (("", "s0"), ("fuel", "s1"))
    return Entry(
        value, 1060.0, 1600.0, due_at=1050.0, created=1.7e9, stamps=stamps, tier=CacheTier.L2, cost=0.25
    )
