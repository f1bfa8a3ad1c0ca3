"""The arguments of a call as canonical, typed and still readable text: `'DE',2022`."""

import dataclasses
import datetime as dt
import decimal
import enum
import inspect
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from greencache.errors import InvalidKeyError
from greencache.keys.names import encoded
from greencache.keys.templates import MAX_PLAIN_BYTES, hashed

__all__ = ["arguments_text", "bind_arguments", "canonical_text", "hash_arguments"]


def hash_arguments(
    signature: inspect.Signature | Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> str:
    """Return text that is the same for calls that mean the same, and differs for all others.

    Keyword order and spelled-out defaults make no difference; types do: `1`, `1.0`, `True`, `"1"`, `b"1"` and
    `None` are six values. When it is longer than 250 bytes, only `#` and its SHA-256 are returned.

    Args:
        signature: The signature of the function that is called, or the function; a signature is quicker.
        args: Positional arguments of the call.
        kwargs: Keyword arguments of the call.

    Raises:
        InvalidKeyError: An argument without canonical text, see `canonical_text`.
        TypeError: The arguments do not fit the signature.
    """
    if not isinstance(signature, inspect.Signature):
        signature = inspect.signature(signature)
    text = arguments_text(bind_arguments(signature, args, kwargs))
    return hashed(text) if len(encoded(text, "key")) > MAX_PLAIN_BYTES else text


def bind_arguments(
    signature: inspect.Signature,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the value of every parameter in the order of the signature, defaults included.

    Raises:
        TypeError: The arguments do not fit the signature.
    """
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.arguments


def arguments_text(values: Mapping[str, Any]) -> str:
    """Return the canonical text of bound arguments, one after the other.

    Raises:
        InvalidKeyError: An argument without canonical text; the message names it.
    """
    texts = []
    for name, value in values.items():
        try:
            texts.append(canonical_text(value))
        except InvalidKeyError as error:
            raise InvalidKeyError(f"argument {name!r}: {error}") from None
    return ",".join(texts)


def canonical_text(value: object) -> str:
    """Return text that equal values of equal types share, and no others.

    Understood are `str`, `bytes`, `int`, `float` (every NaN is the same), `bool`, `None`, `Decimal`, `UUID`,
    `date`, `time`, `datetime` (by wall time and offset), `timedelta`, `tuple`, `list`, `dict`, `set` and
    `frozenset` (the last three in any order), members of enumerations, and named tuples, dataclasses, msgspec
    structs and pydantic models by class and fields. Nothing else is: an unknown subclass, an array or a
    connection holds what its text does not show, and two different calls would share an entry.

    Raises:
        InvalidKeyError: A value of another type, or one that contains itself.
    """
    try:
        return _text(value)
    except RecursionError:
        raise InvalidKeyError(
            "expected plain values, got one that contains itself, or nests too deep"
        ) from None


def _text(value: Any) -> str:
    kind = type(value)
    write = _WRITERS.get(kind)
    if write is not None:
        return write(value)
    if issubclass(kind, enum.Enum):
        return f"{_class_text(kind)}.{_enum_member(value)}"
    fields = _fields(kind, value)
    if fields is None:
        raise InvalidKeyError(
            f"a value of type {kind.__module__}.{kind.__qualname__} cannot be part of a key; pass plain "
            f"values, or give key= to say which part of it counts",
        )
    return f"{_class_text(kind)}({','.join(f'{_quoted(name)}={_text(part)}' for name, part in fields)})"


def _fields(kind: type, value: Any) -> Iterable[tuple[str, Any]] | None:
    """Return the names and values of a record's fields; libraries are recognised without importing them."""
    names: Iterable[str]
    # Only where the class itself declares them: a plain subclass may keep further state beside the fields.
    if "__dataclass_fields__" in vars(kind):
        names = [field.name for field in dataclasses.fields(kind)]
    elif hasattr(kind, "__struct_fields__"):  # msgspec.Struct
        names = kind.__struct_fields__
    elif hasattr(kind, "__pydantic_fields__"):  # pydantic.BaseModel
        extra = value.__pydantic_extra__ or {}
        return [(name, getattr(value, name)) for name in kind.__pydantic_fields__] + sorted(extra.items())
    elif issubclass(kind, tuple) and "_fields" in vars(kind):  # collections.namedtuple, typing.NamedTuple
        names = value._fields
    else:
        return None
    return [(name, getattr(value, name)) for name in names]


def _class_text(kind: type) -> str:
    return _quoted(f"{kind.__module__}:{kind.__qualname__}")


def _enum_member(member: enum.Enum) -> str:
    # A combination of flags may have no name; its bits identify it.
    return _text(member.value) if isinstance(member, enum.Flag) else _quoted(member.name)


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _integer(value: int) -> str:
    try:
        return int.__repr__(value)
    except ValueError:  # more digits than sys.get_int_max_str_digits()
        return hex(value)


def _moment(value: dt.datetime | dt.time) -> str:
    if value.tzinfo is not None and value.utcoffset() is None:
        raise InvalidKeyError(
            f"a {type(value).__name__} with a time zone but no offset cannot be part of a key"
        )
    fold = "~" if value.fold and value.tzinfo is None else ""
    return f"{type(value).__name__}'{value.isoformat()}{fold}'"


def _sequence(start: str, end: str) -> Callable[[Iterable[Any]], str]:
    return lambda items: start + ",".join(map(_text, items)) + end


def _unordered(start: str, end: str) -> Callable[[Iterable[Any]], str]:
    return lambda items: start + ",".join(sorted(map(_text, items))) + end


def _mapping(items: dict[Any, Any]) -> str:
    return "{" + ",".join(sorted(f"{_text(key)}:{_text(value)}" for key, value in items.items())) + "}"


# By exact type, so that a subclass never passes for its base.
_WRITERS: Final[dict[type, Callable[[Any], str]]] = {
    str: _quoted,
    bytes: lambda value: f"b'{value.hex()}'",
    int: _integer,
    float: float.__repr__,
    bool: str,
    type(None): str,
    decimal.Decimal: lambda value: f"Decimal'{value}'",
    uuid.UUID: lambda value: f"UUID'{value}'",
    dt.date: lambda value: f"date'{value.isoformat()}'",
    dt.time: _moment,
    dt.datetime: _moment,
    dt.timedelta: lambda value: f"timedelta'{value.days},{value.seconds},{value.microseconds}'",
    tuple: _sequence("(", ")"),
    list: _sequence("[", "]"),
    dict: _mapping,
    set: _unordered("set{", "}"),
    frozenset: _unordered("frozenset{", "}"),
}
