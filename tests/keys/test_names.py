"""Keys, tags and namespaces: what is legal, and that storage text keeps them apart."""

import enum
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greencache.errors import InvalidKeyError
from greencache.keys import (
    MAX_KEY_BYTES,
    check_key,
    check_namespace,
    check_tag,
    restore_text,
    storage_text,
)

texts = st.text(st.characters(exclude_categories=["Cs"]))
hostile = st.text(st.sampled_from("%{}\0257BDbd:é*?[]\\"))


class Region(enum.StrEnum):
    GERMANY = "DE"


@pytest.mark.parametrize(
    "key",
    [
        "a",
        "factor:DE:2022",
        "Beef (cattle), raw",
        "≤1980",
        "a b",
        "a\r\nSET x 1",
        "nul\0",
        "{tag}",
        "*?[",
        "🌍" * 256,
    ],
)
def test_any_text_up_to_a_kibibyte_is_a_key(key):
    """No character is forbidden; 1,024 bytes are the limit, however many characters."""
    assert check_key(key) == key
    assert check_tag(key) == key


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (1, "expected a key as str, got int"),
        (None, "got NoneType"),
        (b"a", "got bytes"),
        ("", "got an empty one"),
        ("a" * 1025, "at most 1024 bytes, got 1025"),
        ("é" * 513, "at most 1024 bytes, got 1026"),
        ("ok\ud800", r"lone surrogate U\+D800 at position 2"),
    ],
)
def test_what_is_no_key_is_refused_with_what_came(key, message):
    """The message says what was expected and what came."""
    with pytest.raises(InvalidKeyError, match=message):
        check_key(key)


def test_a_tag_is_called_a_tag_in_its_errors():
    """The message names the argument that is wrong."""
    with pytest.raises(InvalidKeyError, match="expected a tag as str, got int"):
        check_tag(7)


def test_messages_do_not_show_the_key():
    """A key may be a person's e-mail address, and messages end in logs."""
    with pytest.raises(InvalidKeyError) as raised:
        check_key("ada@example.org" * 100)
    assert "ada" not in str(raised.value)


def test_a_subclass_of_str_becomes_plain_text():
    """No overridden `__eq__` or `__hash__` reaches a tier."""
    assert type(check_key(Region.GERMANY)) is str
    assert check_key(Region.GERMANY) == "DE"


def test_keys_are_not_normalised():
    """Two spellings of é are two keys."""
    composed, decomposed = unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")
    assert check_key(composed) != check_key(decomposed)


@pytest.mark.parametrize("namespace", ["a", "prod", "app-1.eu_west", "x" * 64])
def test_simple_names_are_namespaces(namespace):
    """Letters, digits, dot, underscore and hyphen, up to 64."""
    assert check_namespace(namespace) == namespace


@pytest.mark.parametrize("namespace", ["", "x" * 65, "a:b", "a{b", "é", "a b", "a\n", None, 1, "٣"])
def test_other_namespaces_are_refused(namespace):
    """Namespaces are laid out beside keys, so nothing in them may have a meaning."""
    with pytest.raises(InvalidKeyError, match="expected a namespace"):
        check_namespace(namespace)


@given(texts | hostile)
def test_storage_text_is_restored_exactly(key):
    """`restore_text` is the inverse of `storage_text`."""
    assert restore_text(storage_text(key)) == key


@given(hostile, hostile)
def test_storage_text_is_injective(one, other):
    """Different keys never share their storage text."""
    assert (storage_text(one) == storage_text(other)) == (one == other)


@given(hostile)
def test_storage_text_cannot_steer_a_hash_tag(key):
    """In `gc:v:{ns:KEY}` the braces are the layout's own, so lease and value always share a slot."""
    stored = storage_text(key)
    assert not set(stored) & set("{}\0")


def test_storage_text_of_a_harmless_key_is_the_key():
    """Ordinary keys stay readable in the server."""
    key = "factor:DE:≤1980, (raw)"
    assert storage_text(key) == key


def test_foreign_storage_text_is_left_as_it_is():
    """What storage_text never writes does not turn into another key's text."""
    assert restore_text("%41 100% %7b") == "%41 100% %7b"


def test_the_limit_is_a_kibibyte():
    """The figure that the documentation names."""
    assert MAX_KEY_BYTES == 1024
