"""Pickle, for what nothing else can write; only behind a signature."""

import pickle
from typing import Any, ClassVar

from greencache.errors import EncodeError

__all__ = ["PickleSerializer"]


class PickleSerializer:
    """Writes nearly any Python object; whoever can forge its bytes runs code in the reader.

    A `Codec` takes it only together with a `Signer`, and verifies before a byte is unpickled.
    """

    id: ClassVar[int] = 3
    name: ClassVar[str] = "pickle"
    needs_signature: ClassVar[bool] = True

    def dumps(self, value: Any) -> bytes:
        """Pickle with protocol 5 (PEP 574)."""
        try:
            return pickle.dumps(value, 5)
        except Exception as error:  # what a class's own __reduce__ raises is anybody's guess
            raise EncodeError(
                f"pickle cannot encode a value of type {type(value).__qualname__}: {error}"
            ) from error

    def loads(self, payload: memoryview) -> Any:
        """Unpickle bytes whose signature has been verified."""
        return pickle.loads(payload)  # noqa: S301 -- the codec refuses this serializer without a signer
