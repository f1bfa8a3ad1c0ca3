"""Commands as bytes: the same as redis-py's, in batches of bounded size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis._parsers import Encoder
from redis.connection import PythonRespSerializer

from greencache.backends.redis_protocol import BATCH_BYTES, BATCH_COMMANDS, pack, pack_batches
from greencache.errors import InvalidArgumentError

ARGUMENTS = st.one_of(
    st.binary(max_size=50),
    st.text(st.characters(codec="utf-8"), max_size=50),
    st.integers(),
    st.floats(allow_nan=False),
)


@given(st.lists(ARGUMENTS))
def test_packs_as_redis_py_does(arguments):
    """Text, bytes and numbers, whatever they hold."""
    packer = PythonRespSerializer(6000, Encoder("utf-8", "strict", decode_responses=False).encode)
    assert pack(["SET", *arguments]) == b"".join(packer.pack("SET", *arguments))


@pytest.mark.parametrize("argument", [None, True, ["a"], object(), memoryview(b"a")])
def test_refuses_what_has_no_one_meaning_as_bytes(argument):
    """`None` above all: a server would get the four letters."""
    with pytest.raises(InvalidArgumentError, match=type(argument).__name__):
        pack(["SET", "key", argument])


def test_refuses_text_that_utf8_cannot_encode():
    """A lone surrogate, as file names can have."""
    with pytest.raises(InvalidArgumentError, match=r"\\ud800"):
        pack(["GET", "\ud800"])


def test_a_name_with_a_space_is_one_argument():
    """redis-py would split it; here nothing in a key or a name becomes another argument."""
    assert pack(["CONFIG GET"]) == b"*1\r\n$10\r\nCONFIG GET\r\n"


def test_batches_hold_a_thousand_commands_at_most():
    """So that a server serves others in between."""
    batches = list(pack_batches(["GET", number] for number in range(2 * BATCH_COMMANDS + 1)))
    assert [count for _, count in batches] == [BATCH_COMMANDS, BATCH_COMMANDS, 1]
    assert b"".join(packed for packed, _ in batches).startswith(pack(["GET", 0]) + pack(["GET", 1]))


def test_batches_hold_a_mebibyte_at_most():
    """Unless one command alone is longer; that one travels alone."""
    value, huge = b"v" * (BATCH_BYTES // 3), b"v" * (2 * BATCH_BYTES)
    batches = list(pack_batches([("SET", "k", v) for v in (value, value, value, huge, value)]))
    assert [count for _, count in batches] == [2, 1, 1, 1]
    assert all(len(packed) <= BATCH_BYTES for packed, _ in batches[:2])


def test_no_commands_are_no_batch():
    """And so no round trip."""
    assert list(pack_batches([])) == []
