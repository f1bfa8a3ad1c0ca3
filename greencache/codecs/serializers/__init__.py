"""Serializers: values as bytes, typed and exact."""

import difflib
from collections.abc import Callable, Iterable, Mapping

from greencache.codecs.serializers.base import Serializer
from greencache.codecs.serializers.json import JsonSerializer
from greencache.codecs.serializers.msgpack import MessagePackSerializer
from greencache.codecs.serializers.pickle import PickleSerializer
from greencache.codecs.serializers.records import TypeRegistry
from greencache.errors import ConfigurationError

__all__ = [
    "JsonSerializer",
    "MessagePackSerializer",
    "PickleSerializer",
    "Serializer",
    "TypeRegistry",
    "readers_beside",
    "serializer_named",
]


def serializer_named(name: str, types: TypeRegistry | Iterable[type] = ()) -> Serializer:
    """Return the serializer of a name: "msgpack", "json" or "pickle".

    Args:
        name: The name, as in a configuration.
        types: The user's classes that it may make when it reads; pickle does not ask.

    Raises:
        ConfigurationError: If there is none of that name.
    """
    makers: dict[str, Callable[[], Serializer]] = {
        "msgpack": lambda: MessagePackSerializer(types),
        "json": lambda: JsonSerializer(types),
        "pickle": PickleSerializer,
    }
    maker = makers.get(name)
    if maker is None:
        near = difflib.get_close_matches(str(name), makers, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigurationError(f"serializer must be one of {', '.join(sorted(makers))}, got {name!r}{hint}")
    return maker()


def readers_beside(serializer: Serializer) -> Mapping[int, Serializer]:
    """Return, by number, who reads what: the serializer itself, and the safe ones for entries of others.

    So a change of serializer in a configuration does not empty the cache. Only pickle reads pickle.
    """
    types = getattr(serializer, "types", None) or TypeRegistry()
    readers: list[Serializer] = [MessagePackSerializer(types), JsonSerializer(types), serializer]
    return {reader.id: reader for reader in readers}
