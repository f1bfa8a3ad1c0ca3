"""Key templates, `factor:{region}:{metric}`: fields to a key, and a key back to its fields."""

import datetime as dt
import decimal
import hashlib
import re
import string
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from greencache.errors import ConfigurationError, InvalidKeyError
from greencache.keys.names import check_key, encoded
from greencache.typing import Key

__all__ = ["MAX_PLAIN_BYTES", "Template", "hashed"]

MAX_PLAIN_BYTES: Final = 250
"""Longer keys are hashed; memcached's limit, and beyond it nobody reads a key anyway."""

_NONE: Final = "%None"  # no text is escaped to this
_ESCAPE: Final = re.compile("%([0-9A-F]{2})")

_VALUE_TEXT: Final[dict[type, Callable[[Any], str]]] = {
    bool: str,
    int: int.__repr__,
    float: float.__repr__,
    decimal.Decimal: str,
    uuid.UUID: str,
    dt.date: dt.date.isoformat,
    dt.datetime: dt.datetime.isoformat,
}


def hashed(text: str) -> str:
    """Return `#` and the SHA-256 of `text` in hexadecimal."""
    return "#" + hashlib.sha256(encoded(text, "key")).hexdigest()


class Template:
    """A key with named fields in braces; `{{` and `}}` are braces themselves.

    Two different sets of texts never make the same key: in a value, `%`, `:`, `#` and the characters that
    begin the template's own separators are percent-escaped. A key of more than 250 bytes keeps the literal
    text before its first field, and the rest is replaced by `#` and its SHA-256.

    Values may be `str`, `int`, `float`, `bool`, `Decimal`, `UUID`, `date`, `datetime` and `None`. All but
    `None` count as their text, so `1` and `"1"` make the same key; `None` differs from `"None"`.

    Args:
        text: The template. Between two fields there is text that begins with punctuation.

    Raises:
        ConfigurationError: Numbered fields, attributes, indexes, conversions, format specifications, or
            fields whose values would run into each other.
        InvalidKeyError: A template without fields that is no valid key.
    """

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise ConfigurationError(f"expected a key template as str, got {type(text).__qualname__}")
        self.text: Final = text
        self.prefix, self._pieces = _split(text)
        self.fields: Final = tuple(dict.fromkeys(name for name, _ in self._pieces))
        if not self._pieces:
            check_key(self.prefix)
        # Separators start with ASCII punctuation: see _check_separator.
        escaped = {"%", ":", "#"} | {separator[0] for _, separator in self._pieces if separator}
        self._escapes = str.maketrans({character: f"%{ord(character):02X}" for character in escaped})
        value = f"([^{re.escape(''.join(sorted(escaped - {'%'})))}]*)"
        self._keys = re.compile(
            re.escape(self.prefix) + "".join(value + re.escape(separator) for _, separator in self._pieces),
        )

    @property
    def pieces(self) -> tuple[tuple[str, str], ...]:
        """Each field in turn, and the literal text behind it."""
        return tuple(self._pieces)

    @property
    def escapes(self) -> dict[str, str]:
        """What is written instead of characters that a value must not contain, `%` among them."""
        return {chr(character): escaped for character, escaped in self._escapes.items()}

    def format(self, /, **values: object) -> Key:
        """Return the key for exactly these fields.

        Raises:
            InvalidKeyError: A field is missing or unexpected, a value has a type without canonical text, or
                the key is not valid.
        """
        unexpected = values.keys() - set(self.fields)
        if unexpected:
            raise InvalidKeyError(
                f"template {self.text!r} has no field {_names(unexpected)}; it has {_names(self.fields)}",
            )
        return self.format_map(values)

    def format_map(self, values: Mapping[str, object]) -> Key:
        """Return the key for the fields in `values`, whatever else is in there.

        Raises:
            InvalidKeyError: As for `format`.
        """
        try:
            variable = "".join(
                [self._value(name, values[name]) + separator for name, separator in self._pieces]
            )
        except KeyError:
            missing = set(self.fields).difference(values)
            raise InvalidKeyError(f"template {self.text!r} needs a value for {_names(missing)}") from None
        key = self.prefix + variable
        if self._pieces and len(key if key.isascii() else encoded(key, "key")) > MAX_PLAIN_BYTES:
            key = self.prefix + hashed(variable)
        return check_key(key)

    def parse(self, key: Key) -> dict[str, str | None] | None:
        """Return the texts that `format` made `key` of, or None for a hashed key or one of another make."""
        found = self._keys.fullmatch(key)
        if found is None:
            return None
        texts = zip((name for name, _ in self._pieces), found.groups(), strict=True)
        values = {name: None if text == _NONE else _unescaped(text) for name, text in texts}
        # Only the canonical spelling counts: `%41` for `A`, or two texts for one field, is another key.
        try:
            return values if self.format_map(values) == key else None
        except InvalidKeyError:
            return None

    def _value(self, name: str, value: object) -> str:
        if value is None:
            return _NONE
        if isinstance(value, str):  # a str enumeration counts as its text
            return str.__str__(value).translate(self._escapes)
        write = _VALUE_TEXT.get(_plain_type(value))
        if write is None:
            raise InvalidKeyError(
                f"field {name!r} of template {self.text!r} got a value of type {type(value).__qualname__}; "
                f"expected text, a number, a date, a UUID or None: turn it into text first",
            )
        try:
            return write(value).translate(self._escapes)
        except ValueError as error:  # an int of more digits than sys.get_int_max_str_digits()
            raise InvalidKeyError(f"field {name!r} of template {self.text!r}: {error}") from None

    def __eq__(self, other: object) -> bool:
        return self.text == other.text if isinstance(other, Template) else NotImplemented

    def __hash__(self) -> int:
        return hash((Template, self.text))

    def __repr__(self) -> str:
        return f"Template({self.text!r})"


def _plain_type(value: object) -> type:
    # An IntEnum counts as its number; other subclasses, such as pandas.Timestamp, hold more than their text.
    return int if isinstance(value, int) and not isinstance(value, bool) else type(value)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)


def _split(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Return the literal text before the first field, and each field with the literal text behind it."""
    literals, names = [""], []
    try:
        parsed = list(string.Formatter().parse(text))
    except ValueError as error:
        raise ConfigurationError(f"key template {text!r}: {error}; write a brace as {{{{ or }}}}") from None
    for literal, name, specification, conversion in parsed:
        literals[-1] += literal
        if name is None:
            continue
        if not name.isidentifier() or specification or conversion:
            raise ConfigurationError(
                f"key template {text!r}: expected fields that are names, as {{region}} is, got {name!r} with "
                f"conversion {conversion!r} and format {specification!r}",
            )
        names.append(name)
        literals.append("")
    # Behind the last field there may be nothing.
    for separator in literals[1:-1] + list(filter(None, literals[1:][-1:])):
        _check_separator(text, separator)
    return literals[0], list(zip(names, literals[1:], strict=True))


def _check_separator(text: str, separator: str) -> None:
    """Make sure that a value, once escaped, cannot contain the start of the separator behind it."""
    start = separator[:1]
    if start not in set(string.punctuation + " ") - set("%#"):
        raise ConfigurationError(
            f"key template {text!r}: expected text that begins with punctuation other than % and # behind "
            f"each field, such as ':', got {separator!r}: values would run into it",
        )


def _names(names: Iterable[str]) -> str:
    return ", ".join(map(repr, sorted(names))) or "none"
