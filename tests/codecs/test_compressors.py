"""Compressors give back what they were given, and inflate no more than was promised."""

import importlib
import tracemalloc

import lz4.block
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from greencache.codecs import Codec, compressor_named
from greencache.codecs.envelope import seal
from greencache.errors import ConfigurationError, DecodeError

NAMES = ["zlib", "zstd", "lz4", "snappy"]
BOMB_SIZE = 64 * 1024 * 1024


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_what_was_compressed_comes_back(name, data):
    """Any bytes, the empty ones too."""
    compressor = compressor_named(name)
    plain = data.draw(st.binary(max_size=200)) * data.draw(st.integers(1, 50))
    assert compressor.decompress(memoryview(compressor.compress(plain)), len(plain)) == plain


@pytest.mark.parametrize("name", NAMES)
@given(data=st.binary(max_size=200), size=st.integers(0, 10_000))
def test_any_bytes_inflate_to_the_promised_size_or_raise(name, data, size):
    """No bytes crash a compressor, and none inflate to another size."""
    try:
        plain = compressor_named(name).decompress(memoryview(data), size)
    except Exception:
        return
    assert len(plain) == size


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("promised", [0, 1, 1000, BOMB_SIZE - 1, BOMB_SIZE + 1])
def test_a_bomb_is_turned_away_before_it_is_inflated(name, promised, clock):
    """Memory is bounded by what the codec reads at most, whatever the header promises."""
    compressor = compressor_named(name)
    bomb = compressor.compress(bytes(BOMB_SIZE))
    codec = Codec(max_size=4 * 1024 * 1024, clock=clock)
    data = bytearray(forged(compressor.id, bomb, promised))
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError):
            codec.decode("k", bytes(data))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 9 * 1024 * 1024


def test_frames_of_zstandard_that_do_not_say_their_size_are_refused():
    """The library would have to guess how much to allocate."""
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1000))
    with pytest.raises(DecodeError):
        compressor_named("zstd").decompress(memoryview(frame), 1000)


def test_data_after_the_end_is_refused():
    """What follows a payload was not written by us."""
    for name in NAMES:
        compressor = compressor_named(name)
        with pytest.raises(Exception):
            compressor.decompress(memoryview(compressor.compress(bytes(1000)) + b"more"), 1000)


def test_a_smaller_block_than_promised_is_refused():
    """LZ4 takes the promise for a bound; the envelope takes it for a fact."""
    with pytest.raises(DecodeError, match="inflate to 1000"):
        compressor_named("lz4").decompress(memoryview(lz4.block.compress(b"x", store_size=False)), 1000)


@pytest.mark.parametrize(
    ("name", "hint"), [("zst", "'zstd'"), ("gzip", "lz4, snappy, zlib, zstd"), (None, "None")]
)
def test_an_unknown_name_is_answered_with_the_known_ones(name, hint):
    """And with the nearest."""
    with pytest.raises(ConfigurationError, match=hint):
        compressor_named(name)


@pytest.mark.parametrize("name", ["zstd", "lz4", "snappy"])
def test_a_missing_package_is_named_with_its_extra(name, monkeypatch, clock):
    """The writer learns it at construction; for a reader it is a miss."""
    data = forged(compressor_named(name).id, b"x", 1)

    def missing(module):
        raise ImportError(module)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigurationError, match=r"greencache\[compress\]"):
        compressor_named(name)
    with pytest.raises(DecodeError) as caught:
        Codec(clock=clock).decode("k", data)
    assert caught.value.reason == "compressor"


def forged(compressor, stored, promised):
    """Return an envelope with a good checksum whose payload promises another size than it has."""
    times = (0.0, 1e12, 1e12, 1e12, 0.0)
    plain = _Promise(promised)
    return seal(
        flags=0,
        serializer=1,
        compressor=compressor,
        tier=0,
        times=times,
        stamps=(),
        key=b"k",
        plain=plain,
        stored=stored,
    )


class _Promise(bytes):
    """Bytes that say they are of another length."""

    def __new__(cls, size):
        made = super().__new__(cls)
        made.size = size
        return made

    def __len__(self):
        return self.size
