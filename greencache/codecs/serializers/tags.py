"""The types that neither MessagePack nor JSON knows, and how each is written.

A tag is written either as text (`is_text`) or as a list of values, which may hold tags again. Numbers stand
in MessagePack (as extension types), names in JSON; neither is ever given to another type.

    code  name       written as
    1     int        text, hexadecimal; beyond 64 bits only
    2     tuple      list of the items
    3     set        list of the items
    4     frozenset  list of the items
    5     datetime   text, ISO 8601; then "|fold|zone" where there is one
    6     date       text, ISO 8601
    7     time       text, as datetime
    8     timedelta  text, days:seconds:microseconds
    9     Decimal    text
    10    UUID       text
    11    bytearray  list of one bytes
    12    dict       list of [key, value]; for keys that the format does not know
    13    object     list of "module:qualname" and its state, see records.py
    14    unset      text, empty; msgspec.UNSET
    15    float      text; in JSON for nan, nan:bits, inf and -inf
    16    bytes      text, base64; in MessagePack the bytes themselves
    17    deeper     list or dict that is nested further than a reader goes at once; in MessagePack
"""

import base64
import datetime as dt
import decimal
import re
import struct
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from greencache.errors import DecodeError

__all__ = ["BY_CODE", "BY_NAME", "BY_TYPE", "DEEPER", "DICT", "MAX_DEPTH", "OBJECT", "Refusal", "Tag"]

MAX_DEPTH = 100
"""How deep containers may be nested; the bound that no payload gets past."""


class Refusal(Exception):  # noqa: N818 -- becomes an EncodeError where the serializer's name is known
    """Something in a value that cannot be written.

    Args:
        what: What it is, in words.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.path: list[str] = []
        """Steps from the value to it, the innermost first."""


class Tag(NamedTuple):
    """How one type is written."""

    code: int
    name: str
    is_text: bool
    dump: Callable[[Any], Any]
    load: Callable[[Any], Any]


def _dump_moment(value: Any) -> str:
    zone = value.tzinfo
    if type(zone) is zoneinfo.ZoneInfo and zone.key:
        return f"{value.replace(tzinfo=None).isoformat()}|{value.fold}|{zone.key}"
    if zone is not None:
        # A zone that knows its offset without being given a moment has only one: pydantic's, psycopg2's.
        # Fractions of a second are written by isoformat, but not always read by fromisoformat.
        offset = zone.utcoffset(None)
        if offset is None or offset.microseconds:
            kind = type(zone).__qualname__
            raise Refusal(f"a {type(value).__name__} in a zone of type {kind}; use zoneinfo.ZoneInfo")
    text: str = value.isoformat()
    return f"{text}|1|" if value.fold else text


# Dots are left out: what the standard library makes of a zone's name may reach the import system.
_ZONE_NAME = re.compile(r"[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+)*", re.ASCII)


def _load_moment(text: str, kind: type[dt.datetime] | type[dt.time]) -> Any:
    iso, _, rest = text.partition("|")
    moment = kind.fromisoformat(iso)
    if not rest:
        return moment
    fold, _, zone = rest.partition("|")
    if not zone:
        return moment.replace(fold=int(fold))
    if not _ZONE_NAME.fullmatch(zone):
        raise DecodeError("not the name of a time zone")
    return moment.replace(fold=int(fold), tzinfo=zoneinfo.ZoneInfo(zone))


def _load_timedelta(text: str) -> dt.timedelta:
    days, seconds, microseconds = text.split(":")
    return dt.timedelta(int(days), int(seconds), int(microseconds))


_NAN = struct.pack(">d", float("nan"))


def _dump_float(value: float) -> str:
    bits = struct.pack(">d", value)
    # A NaN has 52 bits beside its being one; some programs keep the reason for a missing number in them.
    return repr(value) if value == value or bits == _NAN else f"nan:{bits.hex()}"  # noqa: PLR0124 -- a NaN?


def _load_float(text: str) -> float:
    value: float
    (value,) = struct.unpack(">d", bytes.fromhex(text[4:])) if text.startswith("nan:") else (float(text),)
    return value


def _load_object(_: Any) -> Any:
    raise AssertionError("objects are made by the registry of the serializer")


DICT = Tag(12, "dict", False, lambda value: [list(pair) for pair in value.items()], dict)
OBJECT = Tag(13, "object", False, list, _load_object)

DEEPER = Tag(17, "deeper", False, lambda value: value, lambda value: value)

BY_TYPE: dict[type, Tag] = {
    int: Tag(1, "int", True, hex, lambda text: int(text, 16)),
    tuple: Tag(2, "tuple", False, list, tuple),
    set: Tag(3, "set", False, list, set),
    frozenset: Tag(4, "frozenset", False, list, frozenset),
    dt.datetime: Tag(5, "datetime", True, _dump_moment, lambda text: _load_moment(text, dt.datetime)),
    dt.date: Tag(6, "date", True, dt.date.isoformat, dt.date.fromisoformat),
    dt.time: Tag(7, "time", True, _dump_moment, lambda text: _load_moment(text, dt.time)),
    dt.timedelta: Tag(
        8,
        "timedelta",
        True,
        lambda value: f"{value.days}:{value.seconds}:{value.microseconds}",
        _load_timedelta,
    ),
    decimal.Decimal: Tag(9, "Decimal", True, str, decimal.Decimal),
    uuid.UUID: Tag(10, "UUID", True, str, uuid.UUID),
    bytearray: Tag(11, "bytearray", False, lambda value: [bytes(value)], lambda body: bytearray(*body)),
    dict: DICT,
    type(msgspec.UNSET): Tag(14, "unset", True, lambda _: "", lambda _: msgspec.UNSET),
    float: Tag(15, "float", True, _dump_float, _load_float),
    bytes: Tag(
        16,
        "bytes",
        True,
        lambda value: base64.b64encode(value).decode("ascii"),
        lambda text: base64.b64decode(text, validate=True),
    ),
}
"""By the exact type: a subclass is another type, and is not flattened."""

BY_CODE = {tag.code: tag for tag in (*BY_TYPE.values(), OBJECT, DEEPER)}
BY_NAME = {tag.name: tag for tag in BY_CODE.values()}
