"""The user's classes: which of them a reader may make, and how without running their code.

Bytes in a shared server may have been written by anybody. What they can make this process do is bounded so:

- No module is ever imported and no attribute of a module is computed: a class is looked up in what is loaded.
- Only classes whose instances are data are made: dataclasses, structs, pydantic models, named tuples, enums.
- Their state is put in place as it is; neither `__init__` nor `__post_init__` nor a validator runs. A class
  that would run code nonetheless (a finalizer; a struct's `__post_init__`) is made only if it was registered,
  or if this process has itself encoded one.
- The names of the fields must be those of the class, so that entries of an older deployment are reloaded.

`TypeRegistry(types, accepts_loaded=False)` makes only what was registered or encoded here.
"""

import sys
import types
from collections.abc import Iterable
from typing import Any, TypeVar

from greencache.codecs.serializers.kinds import Record, record_of
from greencache.codecs.serializers.tags import Refusal
from greencache.errors import ConfigurationError, DecodeError

__all__ = ["TypeRegistry"]

T = TypeVar("T", bound=type)

# What this process has encoded, in whichever codec. Bounded by the classes of the program: a class that is
# made again and again under one name takes the place of its predecessor. Single dict operations need no lock.
_met: dict[str, Record] = {}


class TypeRegistry:
    """The user's classes that a serializer may make when it reads.

    Args:
        types: Classes that may always be made.
        accepts_loaded: Whether also any class that is data, runs no code and is loaded already.

    Raises:
        ConfigurationError: If a class is not one that can be written.
    """

    __slots__ = ("_accepts_loaded", "_registered")

    def __init__(self, types: Iterable[type] = (), *, accepts_loaded: bool = True) -> None:
        self._accepts_loaded = accepts_loaded
        self._registered: dict[str, Record] = {}
        for cls in types:
            self.register(cls)

    def register(self, cls: T) -> T:
        """Allow a class, and return it, so that this also serves as a decorator.

        Raises:
            ConfigurationError: If it is not a dataclass, struct, pydantic model, named tuple or enum.
        """
        # Asked of what the user gives: an instance or a name is an easy mistake.
        is_class = isinstance(cls, type)
        record = record_of(cls) if is_class else None
        if record is None:
            raise ConfigurationError(
                f"expected a dataclass, msgspec struct, pydantic model, named tuple or enum, got {cls!r}"
            )
        self._registered[record.ref] = record
        return cls

    def meet(self, cls: type) -> Record:
        """Return how to write a class, and remember that this process knows it.

        Raises:
            Refusal: If it is not a class that can be written exactly.
        """
        record = record_of(cls)
        if record is None:
            raise Refusal(f"a value of type {cls.__module__}.{cls.__qualname__}")
        _met[record.ref] = record
        return record

    def load(self, body: list[Any]) -> Any:
        """Return the object that a list of a class's name and its state stands for.

        Raises:
            DecodeError: With the reason "type" if the class may not be made here, or has changed.
        """
        ref, *state = body
        record = self._registered.get(ref) or _met.get(ref)
        if record is None and self._accepts_loaded:
            record = _loaded(ref)
        if record is None:
            raise DecodeError(
                f"class {ref!r:.200} is not loaded, or may not be made here: serializer.types.register(cls)",
                "type",
            )
        return record.load(state)


def _loaded(ref: str) -> Record | None:
    module_name, _, qualname = ref.partition(":")
    module = sys.modules.get(module_name)
    # Lazy modules import when they are touched; they are modules of a subclass.
    if type(module) is not types.ModuleType:
        return None
    found: Any = module
    for name in qualname.split("."):
        # Not getattr: a module's __getattr__ (PEP 562) or a metaclass may run code, or import.
        found = vars(found).get(name)
        if not isinstance(found, type):
            return None
    record = record_of(found)
    return record if record is not None and record.is_inert and record.ref == ref else None
