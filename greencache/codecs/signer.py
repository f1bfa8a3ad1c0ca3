"""Signatures, so that only who holds a key can write what this cache will read.

The trailer that a signature adds to a body:

    id        key id, UTF-8
    1 byte    length of the id
    32 bytes  HMAC-SHA-256 over the body, the id and its length (RFC 2104)
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from greencache.errors import ConfigurationError, DecodeError

__all__ = ["Signer", "SigningKeys"]

SigningKeys: TypeAlias = Mapping[str, bytes] | Sequence[bytes]
"""Secrets by id, or secrets alone; the first one signs."""

MAC_SIZE = 32
MIN_KEY_SIZE = 16
MAX_ID_SIZE = 255

# The secret may serve other purposes too; a derived key makes sure that no other use yields our signatures.
_PURPOSE = b"greencache envelope v1"


class Signer:
    """Signs with the first of its keys and accepts the signatures of all of them.

    To rotate, put the new key second everywhere, then first everywhere, then take the old one out.

    Args:
        keys: Secrets of at least 16 bytes each; without ids, an id is made from a hash of the secret.

    Raises:
        ConfigurationError: If there is no key, or one is too short or not bytes, or an id is too long.
    """

    __slots__ = ("_keys", "_suffix", "_suffix_key")

    def __init__(self, keys: SigningKeys) -> None:
        named: Mapping[str, bytes] = keys if isinstance(keys, Mapping) else _named(keys)
        if not named:
            raise ConfigurationError("a Signer needs at least one key, got none")
        self._keys = {_checked_id(name): _derived(name, secret) for name, secret in named.items()}
        signing_id, self._suffix_key = next(iter(self._keys.items()))
        self._suffix = signing_id + bytes((len(signing_id),))

    def sign(self, body: bytes) -> bytes:
        """Return the body with its trailer."""
        body += self._suffix
        return body + hmac.digest(self._suffix_key, body, "sha256")

    def verify(self, data: bytes) -> int:
        """Return the length of the body in front of a good trailer.

        Raises:
            DecodeError: If the signature is not one of our keys'.
        """
        signed = len(data) - MAC_SIZE
        start = signed - 1 - data[signed - 1] if signed > 0 else -1
        if start < 0:
            raise DecodeError("too short to be signed", "signature")
        key = self._keys.get(data[start : signed - 1])
        if key is None:
            raise DecodeError("signed with a key that this signer does not hold", "signature")
        if not hmac.compare_digest(hmac.digest(key, memoryview(data)[:signed], "sha256"), data[signed:]):
            raise DecodeError("the signature does not match: forged or damaged", "signature")
        return start

    def __repr__(self) -> str:
        return f"<Signer ids={[name.decode() for name in self._keys]}>"


def _named(secrets: Any) -> dict[str, bytes]:
    # A single key is a sequence too, of numbers or letters.
    if isinstance(secrets, bytes | bytearray | str):
        raise ConfigurationError(
            "Signer expects a sequence of keys, or a mapping of ids to keys; put the key in a list"
        )
    return {
        hashlib.sha256(_PURPOSE + _checked_secret("?", secret)).hexdigest()[:8]: secret for secret in secrets
    }


def _checked_id(name: Any) -> bytes:
    encoded = name.encode() if isinstance(name, str) else b""
    if not 0 < len(encoded) <= MAX_ID_SIZE:
        raise ConfigurationError(f"a key id is text of 1 to {MAX_ID_SIZE} bytes, got {name!r:.50}")
    return encoded


def _checked_secret(name: str, secret: Any) -> bytes:
    # The message tells the length, never the secret.
    if not isinstance(secret, bytes):
        raise ConfigurationError(f"signing key {name!r} must be bytes, got {type(secret).__name__}")
    if len(secret) < MIN_KEY_SIZE:
        raise ConfigurationError(
            f"signing key {name!r} needs at least {MIN_KEY_SIZE} bytes, got {len(secret)}"
        )
    return secret


def _derived(name: str, secret: bytes) -> bytes:
    return hmac.digest(_checked_secret(name, secret), _PURPOSE, "sha256")
