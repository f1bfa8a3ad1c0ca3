"""What a key, a tag and a namespace may look like, and how a key is spelled inside a server."""

import re

from greencache.errors import InvalidKeyError
from greencache.typing import Key

__all__ = [
    "ANY_TAG",
    "MAX_KEY_BYTES",
    "check_key",
    "check_namespace",
    "check_tag",
    "check_text",
    "restore_text",
    "storage_text",
]

MAX_KEY_BYTES = 1024
"""The longest key or tag, in bytes of UTF-8."""

ANY_TAG = "\0"
"""Stands for all tags at once, so no tag of a user's may be called so."""

_NAMESPACE = re.compile(r"[A-Za-z0-9._-]{1,64}")


def check_key(key: object) -> Key:
    """Return `key` if it can name an entry: any text of 1 to 1024 bytes.

    No normalisation takes place: two spellings of "é" are two keys. An instance of a subclass of `str` comes
    back as plain text, so that no overridden `__eq__` or `__hash__` reaches a tier.

    Raises:
        InvalidKeyError: Not text, empty, over 1024 bytes in UTF-8, or with half of a surrogate pair.
    """
    # The hot path: ASCII text has as many bytes as characters and no surrogates.
    if type(key) is str and key.isascii() and 0 < len(key) <= MAX_KEY_BYTES:
        return key
    return check_text(key, "key")


def check_tag(tag: object) -> str:
    """Return `tag` if it can mark entries; the rules are those of keys, and NUL alone is no tag.

    Raises:
        InvalidKeyError: As for `check_key`.
    """
    name = check_text(tag, "tag")
    if name == ANY_TAG:
        raise InvalidKeyError("expected a tag, got the NUL character alone, which stands for all tags")
    return name


def check_namespace(namespace: object) -> str:
    """Return `namespace` if it is 1 to 64 ASCII letters, digits, dots, underscores or hyphens.

    Raises:
        InvalidKeyError: Anything else.
    """
    if not isinstance(namespace, str):
        raise InvalidKeyError(f"expected a namespace as str, got {type(namespace).__qualname__}")
    if not _NAMESPACE.fullmatch(namespace):
        shown = namespace if len(namespace) <= 80 else namespace[:80] + "…"  # noqa: PLR2004 -- room for the mistake
        raise InvalidKeyError(
            f"expected a namespace of 1 to 64 characters out of A-Z a-z 0-9 . _ -, got {shown!r}",
        )
    return str.__str__(namespace)


def check_text(text: object, what: str) -> str:
    """Return `text` as plain `str` if it is valid text of 1 to 1024 bytes; `what` it is appears in errors.

    The messages describe the text without showing it: keys may hold personal data, and messages are logged.

    Raises:
        InvalidKeyError: Not text, empty, over 1024 bytes in UTF-8, or with half of a surrogate pair.
    """
    if not isinstance(text, str):
        raise InvalidKeyError(
            f"expected a {what} as str, got {type(text).__qualname__}; convert it, for example with str()",
        )
    if not text:
        raise InvalidKeyError(f"expected a {what} of 1 to {MAX_KEY_BYTES} bytes, got an empty one")
    size = len(encoded(text, what))
    if size > MAX_KEY_BYTES:
        raise InvalidKeyError(
            f"expected a {what} of at most {MAX_KEY_BYTES} bytes, got {size}; hash its long part, "
            f"as key templates do",
        )
    return str.__str__(text)


def encoded(text: str, what: str) -> bytes:
    """Return `text` in UTF-8.

    Raises:
        InvalidKeyError: A lone surrogate, which is no character and has no bytes.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidKeyError(
            f"expected a {what} of valid text, got the lone surrogate U+{ord(text[error.start]):04X} "
            f"at position {error.start}; decode its source with errors='replace' or 'strict'",
        ) from None


def storage_text(key: Key) -> str:
    """Return `key` as servers see it: without braces and NUL, different for different keys.

    `%`, `{`, `}` and NUL become `%25`, `%7B`, `%7D` and `%00`. So a key laid out as `gc:v:{namespace:KEY}`
    has exactly one hash tag, which no user text cuts short or steers, and PostgreSQL's text can hold it.
    """
    # `%` first, or it would escape the escapes.
    return key.replace("%", "%25").replace("{", "%7B").replace("}", "%7D").replace("\0", "%00")


def restore_text(text: str) -> Key:
    """Return the key that `storage_text` turned into `text`.

    Text that `storage_text` never writes, such as `%41`, is left as it is.
    """
    return text.replace("%00", "\0").replace("%7D", "}").replace("%7B", "{").replace("%25", "%")
