"""Entries as bytes: the envelope, the serializers, the compressors and the signer."""

from greencache.codecs.codec import Checksum, Codec
from greencache.codecs.compressors import Compressor, compressor_named
from greencache.codecs.serializers import (
    JsonSerializer,
    MessagePackSerializer,
    PickleSerializer,
    Serializer,
    TypeRegistry,
    serializer_named,
)
from greencache.codecs.signer import Signer

__all__ = [
    "Checksum",
    "Codec",
    "Compressor",
    "JsonSerializer",
    "MessagePackSerializer",
    "PickleSerializer",
    "Serializer",
    "Signer",
    "TypeRegistry",
    "compressor_named",
    "serializer_named",
]
