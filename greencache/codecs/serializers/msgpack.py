"""MessagePack, typed: the default.

A value without tags is plain MessagePack. One with tags is preceded by the byte C1, which MessagePack never
uses; its tags are extension types, and a tag's body that is not text is MessagePack again.

How deep a payload is nested is decided by its writer, who may be anybody, and a decoder written in C pays for
each level with stack: ten thousand levels, which CPython 3.12 and 3.13 allow, are too many for small stacks.
So the decoders here are typed, which costs nothing and lets them go down `LEVELS` levels. What is nested
further is an extension (the tag "deeper"), whose body is decoded when the stack is unwound, and counted.
"""

import functools
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Union

import msgspec
from msgspec.msgpack import Decoder, Ext

from greencache.codecs.serializers.records import TypeRegistry
from greencache.codecs.serializers.tagged import TaggedSerializer
from greencache.codecs.serializers.tags import BY_CODE, BY_TYPE, DEEPER, MAX_DEPTH, OBJECT, Tag
from greencache.errors import DecodeError

__all__ = ["MessagePackSerializer"]

LEVELS = 5

_RAW = Tag(16, "bytes", True, bytes, bytes)  # a type beside str would make the decoders' union ambiguous
_BY_CODE = {**BY_CODE, _RAW.code: _RAW}
_TAGGED = 0xC1
_PREFIX = bytes((_TAGGED,))
_PLAIN: frozenset[type] = frozenset({type(None), bool, int, float, str})


class MessagePackSerializer(TaggedSerializer):
    """Compact and fast; every type round-trips exactly, or is refused.

    Args:
        types: The user's classes that it may make when it reads.

    Raises:
        ConfigurationError: If one of the types is not a class that can be written.
    """

    id: ClassVar[int] = 1
    name: ClassVar[str] = "msgpack"
    plain: ClassVar[frozenset[type]] = _PLAIN
    keys: ClassVar[frozenset[type]] = frozenset({str, int})
    tags: ClassVar[Mapping[type, Tag]] = {**BY_TYPE, bytes: _RAW}
    stride: ClassVar[int] = LEVELS

    def __init__(self, types: TypeRegistry | Iterable[type] = ()) -> None:
        super().__init__(types)
        self._plain_decoder = _decoder(has_tags=False)
        self._tag_decoder = _decoder(has_tags=True)

    def loads(self, payload: memoryview) -> Any:
        """Return the value.

        Raises:
            DecodeError: With the reason "type" or "depth"; whatever else is raised means damage.
        """
        if payload[0] == _TAGGED:
            return self._raised(self._tag_decoder.decode(payload[1:]), 0)
        return self._plain_decoder.decode(payload)

    def _write(self, lowered: Any, *, is_plain: bool) -> bytes:
        written = msgspec.msgpack.encode(lowered)
        return written if is_plain else _PREFIX + written

    def _wrap(self, tag: Tag, body: Any) -> Ext:
        if tag is _RAW:
            return Ext(tag.code, body)
        return Ext(tag.code, body.encode() if tag.is_text else msgspec.msgpack.encode(body))

    def _raised(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is Ext:
            return self._raised_tag(value, depth)
        if kind is list and not _PLAIN.issuperset(map(type, value)):
            return [self._raised(item, depth) for item in value]
        if kind is dict and not _PLAIN.issuperset(map(type, value.values())):
            return {key: self._raised(item, depth) for key, item in value.items()}
        return value

    def _raised_tag(self, ext: Ext, depth: int) -> Any:
        tag = _BY_CODE.get(ext.code)
        if tag is None:
            raise DecodeError(f"unknown extension type {ext.code}")
        if tag.is_text:
            return tag.load(ext.data if tag is _RAW else str(ext.data, "utf-8"))
        # The writer does not count the innermost container.
        if depth > MAX_DEPTH:
            raise DecodeError(f"nested deeper than {MAX_DEPTH}", "depth")
        body = self._raised(self._tag_decoder.decode(ext.data), depth + 1)
        if tag is not DEEPER and type(body) is not list:
            raise DecodeError(f"extension type {ext.code} should hold a list")
        return self.types.load(body) if tag is OBJECT else tag.load(body)


@functools.cache
def _decoder(*, has_tags: bool) -> "Decoder[Any]":
    # Built at the first use: some milliseconds, since the type doubles with each level.
    scalars: tuple[Any, ...] = (None, bool, int, float, str, *((Ext,) if has_tags else ()))
    nested: Any = Union[scalars]  # noqa: UP007 -- of a tuple
    for _ in range(LEVELS):
        nested = Union[(*scalars, list[nested], dict[str | int, nested])]
    return Decoder(nested)
