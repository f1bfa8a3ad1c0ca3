"""Names of entries: checked keys, templates, canonical arguments, and patterns."""

from greencache.keys.arguments import arguments_text, bind_arguments, canonical_text, hash_arguments
from greencache.keys.names import (
    ANY_TAG,
    MAX_KEY_BYTES,
    check_key,
    check_namespace,
    check_tag,
    restore_text,
    storage_text,
)
from greencache.keys.patterns import Pattern
from greencache.keys.templates import MAX_PLAIN_BYTES, Template, hashed

__all__ = [
    "ANY_TAG",
    "MAX_KEY_BYTES",
    "MAX_PLAIN_BYTES",
    "Pattern",
    "Template",
    "arguments_text",
    "bind_arguments",
    "canonical_text",
    "check_key",
    "check_namespace",
    "check_tag",
    "hash_arguments",
    "hashed",
    "restore_text",
    "storage_text",
]
