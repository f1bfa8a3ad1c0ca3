"""JSON, typed: for entries that other programs, or people, should be able to read.

What JSON does not know is an object with one member: `{"__gc__": [name, body]}`. A user's dict that has such
a key itself is written as the tag "dict", so nothing is taken for a tag that was not one.
"""

import itertools
import math
from typing import Any, ClassVar

import msgspec

from greencache.codecs.serializers.lowering import Leaves
from greencache.codecs.serializers.tagged import TaggedSerializer
from greencache.codecs.serializers.tags import BY_NAME, MAX_DEPTH, OBJECT, Tag
from greencache.errors import DecodeError

__all__ = ["JsonSerializer"]

_MARK = "__gc__"
_MARK_BYTES = b'"__gc__"'

# A tag is an object and two lists; the writer does not count the innermost container.
_MAX_LEVELS = 3 * (MAX_DEPTH + 1)
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS = bytes(set(range(256)) - _STEP.keys())


class JsonSerializer(TaggedSerializer):
    """Readable; every type round-trips exactly, or is refused.

    Args:
        types: The user's classes that it may make when it reads.

    Raises:
        ConfigurationError: If one of the types is not a class that can be written.
    """

    id: ClassVar[int] = 2
    name: ClassVar[str] = "json"
    plain: ClassVar[frozenset[type]] = frozenset({type(None), bool, int, str})
    keys: ClassVar[frozenset[type]] = frozenset({str})
    leaves: ClassVar[Leaves] = {float: math.isfinite}
    reserved: ClassVar[str | None] = _MARK

    def _write(self, lowered: Any, *, is_plain: bool) -> bytes:  # noqa: ARG002 -- JSON shows its tags itself
        return msgspec.json.encode(lowered)

    def _wrap(self, tag: Tag, body: Any) -> dict[str, Any]:
        return {_MARK: [tag.name, body]}

    def loads(self, payload: memoryview) -> Any:
        """Return the value; without a tag in it, nothing but the JSON is read.

        Raises:
            DecodeError: With the reason "type" or "depth"; whatever else is raised means damage.
        """
        data = bytes(payload)
        if _is_too_deep(data):
            raise DecodeError(f"nested deeper than {MAX_DEPTH}", "depth")
        value = msgspec.json.decode(data)
        # We never write the mark with an escape in it, so where it is not found there is none of ours.
        return self._raised(value) if _MARK_BYTES in data else value

    def _raised(self, value: Any) -> Any:
        kind = type(value)
        if kind is list:
            return [self._raised(item) for item in value]
        if kind is not dict:
            return value
        if _MARK in value:
            return self._raised_tag(value)
        return {key: self._raised(item) for key, item in value.items()}

    def _raised_tag(self, marked: dict[str, Any]) -> Any:
        ((_, (name, body)),) = marked.items()
        tag = BY_NAME.get(name)
        if tag is None or type(body) is not (str if tag.is_text else list):
            raise DecodeError(f"not a tag that JSON entries have: {name!r:.50}")
        if tag.is_text:
            return tag.load(body)
        items = [self._raised(item) for item in body]
        return self.types.load(items) if tag is OBJECT else tag.load(items)


def _is_too_deep(data: bytes) -> bool:
    # A decoder written in C pays for each level with stack, and allows more levels than many threads have.
    if data.count(b"[") + data.count(b"{") <= _MAX_LEVELS:
        return False
    # Without escaped quotes, each second piece between quotes is a string, whose brackets do not count.
    pieces = data.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
    brackets = b"".join(pieces[::2]).translate(None, _NO_BRACKETS)
    return max(itertools.accumulate(map(_STEP.__getitem__, brackets)), default=0) > _MAX_LEVELS
