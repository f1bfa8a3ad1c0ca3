"""What a serializer is: values to bytes, and back."""

from typing import Any, Protocol

__all__ = ["Serializer"]


class Serializer(Protocol):
    """Turns values into bytes and back, exactly or not at all."""

    @property
    def id(self) -> int:
        """What stands for it in an envelope; 1 to 255, never given to another."""
        ...

    @property
    def name(self) -> str:
        """Its name in a configuration."""
        ...

    @property
    def needs_signature(self) -> bool:
        """Whether reading forged bytes could run code, so that only signed ones may be read."""
        ...

    def dumps(self, value: Any) -> bytes:
        """Return the bytes of a value.

        Raises:
            EncodeError: If reading them could not give back an equal value of the same type.
        """
        ...

    def loads(self, payload: memoryview) -> Any:
        """Return the value.

        Raises:
            DecodeError: With the reason "type" for a class that may not be made here; any other exception
                is taken for damage.
        """
        ...
