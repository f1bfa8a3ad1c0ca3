"""The kinds of classes whose instances are data: how the state of each is taken and put back."""

import dataclasses
import enum
import functools
import types
from typing import Any

import msgspec

from greencache.codecs.serializers.tags import Refusal
from greencache.errors import DecodeError

__all__ = ["Record", "record_of"]

_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: made by a class statement, not built in


class Record:
    """How the instances of one class are written.

    Args:
        cls: The class.
        fields: The names that its state consists of.
    """

    def __init__(self, cls: type, fields: tuple[str, ...]) -> None:
        self.cls = cls
        self.ref = f"{cls.__module__}:{cls.__qualname__}"
        self.fields = fields
        self.is_inert = not hasattr(cls, "__del__")
        """Whether making an instance, and dropping it, runs none of the class's own code."""

    def dump(self, value: Any) -> list[Any]:
        """Return the state, as values that are lowered in turn."""
        return [{name: getattr(value, name) for name in self.fields}]

    def load(self, state: list[Any]) -> Any:
        """Return an instance of that state."""
        raise NotImplementedError

    def _checked(self, fields: Any) -> dict[str, Any]:
        if type(fields) is not dict or fields.keys() != set(self.fields):
            raise DecodeError(
                f"the fields of {self.ref} are not those of the entry: the class has changed", "type"
            )
        return fields


class EnumRecord(Record):
    """Members by name, so that their values may change; combined flags by value."""

    def __init__(self, cls: type[enum.Enum]) -> None:
        super().__init__(cls, ())
        self._is_flag = issubclass(cls, enum.Flag)
        # Flags are looked up by value, which asks `_missing_`; members by name ask nobody.
        has_hook = self._is_flag and cls._missing_.__func__ is not enum.Flag._missing_.__func__  # type: ignore[attr-defined]
        self.is_inert = self.is_inert and not has_hook

    def dump(self, value: Any) -> list[Any]:
        """Return the name, or the bits."""
        return [value.value if self._is_flag else value.name]

    def load(self, state: list[Any]) -> Any:
        """Return the member itself."""
        (member,) = state
        if self._is_flag:
            return self.cls(int(member))
        found = self.cls.__members__.get(member)  # type: ignore[attr-defined]
        if found is None:
            raise DecodeError(f"{self.ref} has no member of that name: the class has changed", "type")
        return found


class NamedTupleRecord(Record):
    """Named tuples, by the names of their fields."""

    def load(self, state: list[Any]) -> Any:
        """Make one as `_make` does, whatever the class's own `__new__`."""
        fields = self._checked(*state)
        return tuple.__new__(self.cls, [fields[name] for name in self.fields])

    def dump(self, value: Any) -> list[Any]:
        """Return the fields; other attributes would be lost."""
        if getattr(value, "__dict__", None) or len(value) != len(self.fields):
            raise Refusal(f"a {self.ref} with more than its fields")
        return [dict(zip(self.fields, value, strict=True))]


class StructRecord(Record):
    """msgspec structs."""

    def __init__(self, cls: type[msgspec.Struct]) -> None:
        super().__init__(cls, cls.__struct_fields__)
        self._has_hook = hasattr(cls, "__post_init__")
        self.is_inert = self.is_inert and not self._has_hook

    def load(self, state: list[Any]) -> Any:
        """Make one by its constructor, which checks nothing; what `__post_init__` changed is put back."""
        fields = self._checked(*state)
        struct = self.cls(**fields)
        if self._has_hook:
            for name, value in fields.items():
                msgspec.structs.force_setattr(struct, name, value)
        return struct


class DataclassRecord(Record):
    """Dataclasses: the fields, and what else an instance's `__dict__` holds."""

    def __init__(self, cls: type) -> None:
        super().__init__(cls, tuple(field.name for field in dataclasses.fields(cls)))
        slots = {name: _static(cls, name) for name in self.fields}
        self._slots = {
            name: slot for name, slot in slots.items() if isinstance(slot, types.MemberDescriptorType)
        }
        self._derived = _derived(cls)

    def dump(self, value: Any) -> list[Any]:
        """Return fields and further attributes, without what cached properties can compute again."""
        try:
            fields = {name: getattr(value, name) for name in self.fields}
        except AttributeError as error:
            raise Refusal(f"a {self.ref} with a field that is not set: {error}") from None
        rest = {
            name: item
            for name, item in getattr(value, "__dict__", {}).items()
            if name not in fields and name not in self._derived
        }
        return [fields, rest] if rest else [fields]

    def load(self, state: list[Any]) -> Any:
        """Put the attributes in place; no method of the class runs, not even a property's setter."""
        fields, *rest = state
        made: Any = object.__new__(self.cls)
        for name, value in self._checked(fields).items():
            slot = self._slots.get(name)
            if slot is None:
                made.__dict__[name] = value
            else:
                slot.__set__(made, value)
        for attributes in rest:
            made.__dict__.update(attributes)
        return made


class ModelRecord(Record):
    """pydantic v2 models, recognised by their attributes: pydantic is not imported."""

    def __init__(self, cls: Any) -> None:
        super().__init__(cls, tuple(cls.__pydantic_fields__))
        self._derived = _derived(cls)

    def dump(self, value: Any) -> list[Any]:
        """Return what pydantic itself pickles: fields, other attributes, extra, the fields set, private."""
        held = value.__dict__
        if not held.keys() >= set(self.fields):
            raise Refusal(f"a {self.ref} without all of its fields")
        fields = {name: held[name] for name in self.fields}
        rest = {name: item for name, item in held.items() if name not in fields and name not in self._derived}
        extra, private = value.__pydantic_extra__, value.__pydantic_private__
        return [fields, rest, extra, sorted(value.__pydantic_fields_set__), private]

    def load(self, state: list[Any]) -> Any:
        """Put back what was there; it was valid when it was written, so nothing is validated."""
        fields, rest, extra, fields_set, private = state
        made: Any = object.__new__(self.cls)
        # As BaseModel.__setstate__ does, past the model's own __setattr__ and past a subclass's __setstate__.
        object.__setattr__(made, "__dict__", {**self._checked(fields), **rest})
        object.__setattr__(made, "__pydantic_extra__", extra)
        object.__setattr__(made, "__pydantic_fields_set__", set(fields_set))
        object.__setattr__(made, "__pydantic_private__", private)
        return made


@functools.lru_cache(maxsize=1024)
def record_of(cls: type) -> Record | None:
    """Return how the instances of a class are written, or `None` if it is none of these kinds."""
    if issubclass(cls, enum.Enum):
        return EnumRecord(cls)
    if issubclass(cls, tuple):
        fields = getattr(cls, "_fields", None)
        return NamedTupleRecord(cls, fields) if isinstance(fields, tuple) else None
    if issubclass(cls, msgspec.Struct):
        return StructRecord(cls)
    if not _derives_from_object(cls):
        return None
    if dataclasses.is_dataclass(cls):
        return DataclassRecord(cls)
    return ModelRecord(cls) if hasattr(cls, "__pydantic_fields__") and hasattr(cls, "model_dump") else None


def _derives_from_object(cls: type) -> bool:
    # A dataclass that is also a dict or an exception holds more than attributes. `copyreg` looks likewise.
    base: type | None = cls
    while base is not None and base.__flags__ & _HEAP_TYPE:
        base = base.__base__
    return base is object


def _static(cls: type, name: str) -> Any:
    return next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)


def _derived(cls: type) -> frozenset[str]:
    attributes = {
        name
        for base in cls.__mro__
        for name, item in vars(base).items()
        if isinstance(item, functools.cached_property)
    }
    return frozenset(attributes)
