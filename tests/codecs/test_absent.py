"""Entries that say that there is nothing: told from those of a `None`, and guarded like all others."""

import math
import struct
import zlib

import pytest

from greencache.codecs import Codec, JsonSerializer, MessagePackSerializer, compressor_named
from greencache.codecs.envelope import HAS_DIGEST, IS_ABSENT, IS_SIGNED
from greencache.entry import Entry, State, judge
from greencache.errors import DecodeError
from greencache.typing import MISSING, CacheTier


@pytest.fixture
def absent():
    """An entry that says that there is nothing, with all of its parts."""
    return Entry(
        MISSING,
        1060.0,
        1600.0,
        created=1_700_000_000.0,
        stamps=(("", "s0"), ("fuel", "s1")),
        tier=CacheTier.L3,
        cost=0.25,
    )


@pytest.fixture(
    params=[
        {},
        {"serializer": JsonSerializer()},
        {"checksum": "crc32"},
        {"compressor": compressor_named("zlib"), "compress_above": 0},
        {"signer": True},
    ],
    ids=["msgpack", "json", "crc32", "zlib", "signed"],
)
def any_codec(request, clock, signer):
    """Codecs of every kind."""
    options = dict(request.param)
    if options.pop("signer", False):
        options["signer"] = signer
    return Codec(clock=clock, **options)


def test_nothing_comes_back_as_nothing(any_codec, absent):
    """With its times, stamps and tier; not as a `None`, nor the other way round."""
    found = any_codec.decode("ns:k", any_codec.encode("ns:k", absent))
    assert found.value is MISSING
    assert (found.fresh_until, found.stale_until, found.cost) == (1060.0, 1600.0, 0.25)
    assert (found.stamps, found.tier, found.created) == (absent.stamps, CacheTier.L3, 1_700_000_000.0)
    none = Entry(None, 1060.0, created=1_700_000_000.0)
    assert any_codec.decode("ns:k", any_codec.encode("ns:k", none)).value is None


def test_nothing_is_always_due(any_codec, absent):
    """Here as where it was made: whoever serves fresh entries without a second look passes it by."""
    found = any_codec.decode("ns:k", any_codec.encode("ns:k", absent))
    assert found.due_at == -math.inf
    assert [judge(found, now) for now in (0.0, 1059.9, 1060.0, 1600.0)] == [
        State.DUE,
        State.DUE,
        State.STALE,
        State.GONE,
    ]


def test_nothing_for_ever_can_be_written(any_codec):
    """As a value can."""
    found = any_codec.decode("ns:k", any_codec.encode("ns:k", Entry(MISSING, math.inf)))
    assert found.value is MISSING
    assert found.fresh_until == math.inf


def test_the_frame_says_so_too(any_codec, absent):
    """For tools that read no payload; they are told apart by the flag."""
    data = any_codec.encode("ns:k", absent)
    assert data[4] & IS_ABSENT
    assert any_codec.decode_frame("ns:k", data).fresh_until == 1060.0
    assert not any_codec.encode("ns:k", Entry(None, 1060.0, created=1.0))[4] & IS_ABSENT


def test_what_hides_a_value_is_noticed(codec, absent):
    """The flag is under the checksum: a bit that flips makes no entry of nothing, and no value of it."""
    for entry in (absent, Entry([1], 1060.0, created=1_700_000_000.0)):
        data = bytearray(codec.encode("ns:k", entry))
        data[4] ^= IS_ABSENT
        with pytest.raises(DecodeError) as caught:
            codec.decode("ns:k", bytes(data))
        assert caught.value.reason == "checksum"


@pytest.mark.parametrize("flag", [8, 16, 32, 64, 128])
def test_flags_of_later_releases_are_refused(codec, absent, flag):
    """They may change what the rest means."""
    body = bytearray(codec.encode("ns:k", absent)[:-4])
    assert body[4] == HAS_DIGEST | IS_ABSENT
    body[4] |= flag
    with pytest.raises(DecodeError) as caught:
        codec.decode("ns:k", bytes(body) + struct.pack(">I", zlib.crc32(body)))
    assert caught.value.reason == "header"


def test_the_flags_are_bits_of_their_own():
    """Every mixture means something."""
    assert {IS_SIGNED, HAS_DIGEST, IS_ABSENT} == {1, 2, 4}


def test_nothing_takes_few_bytes(codec):
    """Some sources are asked for much that does not exist."""
    assert len(codec.encode("ns:k", Entry(MISSING, 1.0, created=1.0))) < 120


def test_a_payload_with_the_flag_is_guarded_as_ever(clock):
    """Whoever can make up entries cannot make a decoder work without a bound."""
    codec = Codec(MessagePackSerializer(), clock=clock, checksum="crc32")
    data = bytearray(codec.encode("ns:k", Entry(list(range(50)), 1060.0, created=1.0))[:-4])
    data[4] |= IS_ABSENT
    assert codec.decode("ns:k", bytes(data) + struct.pack(">I", zlib.crc32(data))).value is MISSING
