"""What the MessagePack and the JSON serializer share: lowering, and what to do when it is refused."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from greencache.codecs.serializers.lowering import Leaves, Lowering, checked_text, is_short
from greencache.codecs.serializers.records import TypeRegistry
from greencache.codecs.serializers.tags import BY_TYPE, Refusal, Tag
from greencache.errors import EncodeError

__all__ = ["TaggedSerializer"]


class TaggedSerializer:
    """Writes plain values as the format does, and all others under tags.

    Args:
        types: The user's classes that it may make when it reads.

    Raises:
        ConfigurationError: If one of the types is not a class that can be written.
    """

    name: ClassVar[str]
    needs_signature: ClassVar[bool] = False
    plain: ClassVar[frozenset[type]]
    keys: ClassVar[frozenset[type]]
    leaves: ClassVar[Leaves] = {}
    tags: ClassVar[Mapping[type, Tag]] = BY_TYPE
    reserved: ClassVar[str | None] = None
    stride: ClassVar[int] = 0

    def __init__(self, types: TypeRegistry | Iterable[type] = ()) -> None:
        self.types = types if isinstance(types, TypeRegistry) else TypeRegistry(types)
        leaves: Leaves = {**self.leaves, int: is_short, str: checked_text}
        self._lowering = self._lowering_of(self.plain, self.leaves)
        self._careful_lowering = self._lowering_of(self.plain - leaves.keys(), leaves)

    def _lowering_of(self, plain: frozenset[type], leaves: Leaves) -> Lowering:
        return Lowering(
            self.types,
            self._wrap,
            tags=self.tags,
            plain=plain,
            keys=self.keys,
            leaves=leaves,
            reserved=self.reserved,
            stride=self.stride,
        )

    def dumps(self, value: Any) -> bytes:
        """Return the bytes of a value.

        Raises:
            EncodeError: If it holds something that could not be read back exactly.
        """
        try:
            lowered = self._lowering.lower(value)
            return self._write(lowered, is_plain=lowered is value)
        except Refusal as refusal:
            raise self._error(refusal) from None
        except (OverflowError, ValueError):
            # The format itself refused an integer or a text. It is rare and cheap to notice there, so only
            # now is each one looked at.
            return self._dumps_carefully(value)

    def _dumps_carefully(self, value: Any) -> bytes:
        try:
            lowered = self._careful_lowering.lower(value)
            return self._write(lowered, is_plain=lowered is value)
        except Refusal as refusal:
            raise self._error(refusal) from None

    def _error(self, refusal: Refusal) -> EncodeError:
        place = "".join(reversed(refusal.path))
        return EncodeError(
            f"{self.name} cannot encode {refusal} at value{place}; expected plain Python values, "
            "dataclasses, msgspec structs, pydantic models, named tuples or enums"
        )

    def _wrap(self, tag: Tag, body: Any) -> Any:
        raise NotImplementedError

    def _write(self, lowered: Any, *, is_plain: bool) -> bytes:
        raise NotImplementedError
